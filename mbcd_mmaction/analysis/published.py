"""The paper's numbers, to print beside ours.

All are top-1 in per cent over three seeds, from Wang, Cheng, Zhong, Chen,
Zhou, 'Modality-Balanced Collaborative Distillation for Multi-Modal Domain
Generalization' (AAAI-26, arXiv 2511.20258), which also ran the methods it
compares with: its Tables 1 to 5, whole and as printed, RNA-Net's equal
deviations on HAC included.

These are data: the one place of the package that names modalities.
"""
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ['AVERAGE', 'PAPER', 'TABLES', 'Published', 'PublishedTable']

PAPER = 'Wang et al., AAAI-26 (arXiv 2511.20258)'
AVERAGE = 'average'

# dataset, modalities, method, variant
Key = tuple[str, frozenset[str], str, str]

SETS = {
    'VA': ('video', 'audio'), 'VF': ('video', 'flow'),
    'AF': ('flow', 'audio'), 'VAF': ('video', 'flow', 'audio'),
}
DOMAINS = {'epic': ('D1', 'D2', 'D3'), 'hac': ('human', 'animal', 'cartoon')}


class Published(NamedTuple):
    """One number of the paper, in per cent.

    Attributes:
        mean (float): Over three seeds.
        std (float | None): Their standard deviation; the paper prints none
            of an average.
    """
    mean: float
    std: float | None = None

    def __str__(self) -> str:
        """As ours are printed: '63.63 ± 0.39', '67.58'."""
        return f'{self.mean:.2f}' + (
            '' if self.std is None else f' ± {self.std:.2f}')


Scores = Mapping[Key, Mapping[str, Published]]


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper.

    Attributes:
        number (int): Its number there.
        modalities (Mapping): Dataset to the modality sets it has, in order.
        scores (Mapping): Key (dataset, modalities, method, variant) to column
            (the target 'D1', the pair 'D1 → D2', or 'average') to number.
    """
    number: int
    modalities: Mapping[str, tuple[tuple[str, ...], ...]]
    scores: Scores

    def score(self, dataset: str, modalities: tuple[str, ...], method: str,
              variant: str, column: str) -> Published | None:
        """One number, None where the paper has none."""
        key = (dataset, frozenset(modalities), method, variant)
        return self.scores.get(key, {}).get(column)


# Each row: modalities, method (with a variant: method/variant), one number a
# column, and their average.

# Table 1. Unseen: D1, D2, D3.
MULTI_SOURCE_EPIC = """
VA  erm     52.04±0.60 60.73±1.69 57.92±1.40 56.90
VA  rna_net 52.21±1.20 60.06±2.06 56.17±1.87 56.15
VA  simmmdg 56.35±2.19 64.52±0.72 58.21±1.94 59.69
VA  moosa   54.64±3.73 64.93±1.36 61.60±0.51 60.39
VA  cmrf    56.77±0.30 65.21±0.31 61.79±0.33 61.26
VA  mbcd    58.06±0.50 68.10±0.35 63.31±0.21 63.16
VF  erm     56.88±0.26 65.74±1.42 58.02±1.32 60.21
VF  rna_net 59.29±0.54 66.37±1.30 57.85±2.02 61.17
VF  simmmdg 57.99±2.29 67.59±0.42 55.85±1.88 60.48
VF  moosa   59.16±1.36 66.44±0.98 61.43±1.14 62.34
VF  cmrf    63.41±0.35 69.48±0.80 61.52±0.53 64.80
VF  mbcd    64.16±0.33 72.19±0.59 63.05±0.53 66.47
AF  erm     53.56±1.53 59.14±1.54 56.71±0.94 56.47
AF  rna_net 51.50±1.26 60.35±1.49 56.86±1.38 56.24
AF  simmmdg 57.30±0.89 65.39±1.01 56.19±1.31 59.63
AF  moosa   53.72±1.41 67.20±1.54 60.78±2.03 60.57
AF  cmrf    59.13±0.87 65.08±0.99 61.30±0.28 61.84
AF  mbcd    59.25±0.45 68.05±0.59 61.95±0.27 63.08
VAF erm     49.46±0.83 53.70±1.78 48.50±3.91 50.55
VAF rna_net 47.12±0.29 55.80±0.69 50.63±3.39 51.18
VAF simmmdg 60.31±1.96 68.75±1.09 60.97±1.01 63.34
VAF moosa   60.00±0.19 67.38±1.07 64.24±5.15 63.87
VAF cmrf    61.86±0.74 69.58±0.39 64.97±0.14 65.47
VAF mbcd    63.63±0.39 73.18±0.59 65.92±0.44 67.58
"""
# Table 1. Unseen: human, animal, cartoon.
MULTI_SOURCE_HAC = """
VA  erm     72.96±0.69 74.10±3.65 51.96±1.73 66.34
VA  rna_net 73.42±1.16 73.33±1.16 50.06±1.16 65.60
VA  simmmdg 76.54±2.40 75.79±2.14 48.71±1.61 67.01
VA  moosa   74.29±1.40 75.90±0.55 52.79±2.49 67.66
VA  cmrf    79.21±0.69 79.07±0.82 55.48±1.41 71.25
VA  mbcd    80.08±0.44 78.81±0.72 53.09±1.84 70.66
VF  erm     74.89±1.12 72.33±1.51 43.35±6.35 63.52
VF  rna_net 77.19±4.33 74.58±4.33 43.11±4.33 64.96
VF  simmmdg 77.48±1.47 73.99±1.76 51.78±6.05 67.75
VF  moosa   75.25±2.25 75.68±0.51 51.75±2.66 67.56
VF  cmrf    80.32±0.68 77.08±1.52 51.87±3.34 69.76
VF  mbcd    80.37±0.74 78.07±0.75 51.93±1.31 70.12
AF  erm     54.17±2.28 60.56±3.26 42.19±2.70 52.31
AF  rna_net 54.91±2.13 59.82±2.13 43.23±2.13 52.65
AF  simmmdg 55.61±1.70 63.43±1.57 45.31±0.20 54.78
AF  moosa   56.79±1.28 63.58±0.48 42.59±1.76 54.32
AF  cmrf    60.49±0.46 64.75±0.32 47.98±1.28 57.74
AF  mbcd    63.76±0.91 65.64±0.69 49.05±0.19 59.48
VAF erm     74.67±3.33 68.54±0.41 45.40±3.58 62.87
VAF rna_net 76.02±3.19 73.11±3.19 46.42±3.19 65.18
VAF simmmdg 76.38±0.65 74.36±1.70 51.59±2.50 67.44
VAF moosa   75.34±3.11 74.54±1.85 48.44±4.82 66.11
VAF cmrf    78.25±0.43 78.07±0.50 55.61±1.23 70.64
VAF mbcd    81.28±1.00 78.11±0.32 55.48±1.60 71.62
"""
# Table 2, VAF. Trained on D1: D2, D3; on D2: D1, D3; on D3: D1, D2.
SINGLE_SOURCE_EPIC = """
erm     43.42±3.08 41.99±3.76 42.18±1.74 42.24±2.00 42.28±1.80 51.98±1.35 44.02
rna_net 43.72±3.54 41.51±2.79 41.41±0.82 44.56±3.28 42.40±3.67 53.46±0.55 44.51
simmmdg 54.09±1.07 49.21±1.20 53.56±3.07 57.27±2.02 54.42±1.69 64.74±1.77 55.55
moosa   54.99±0.76 49.76±1.57 52.83±1.35 55.15±2.59 55.49±2.23 65.27±1.06 55.58
cmrf    59.35±0.24 54.38±0.32 57.62±0.37 60.96±0.30 57.01±0.32 67.72±0.61 59.51
mbcd    59.50±0.60 54.89±0.93 58.11±0.84 61.73±0.45 57.18±0.65 70.77±0.44 60.36
"""
# Table 2, VAF. Trained on human: animal, cartoon; on animal: human, cartoon;
# on cartoon: human, animal.
SINGLE_SOURCE_HAC = """
erm     57.36±2.36 41.21±1.95 69.38±2.44 42.89±4.93 56.77±7.48 57.28±2.97 54.15
rna_net 57.91±1.58 34.96±5.02 71.14±0.92 44.67±1.46 63.25±3.72 63.13±3.72 55.84
simmmdg 67.03±2.23 42.74±1.99 69.72±2.97 46.26±5.83 66.71±3.29 65.82±4.26 59.71
moosa   62.21±2.40 43.41±2.48 73.78±0.79 51.23±3.56 63.90±2.75 68.18±2.37 60.45
cmrf    67.84±0.96 46.26±1.82 74.04±0.44 49.36±0.40 65.66±1.58 65.89±1.00 61.51
mbcd    69.24±0.75 46.81±0.68 76.16±0.07 49.36±0.26 73.37±1.12 71.93±3.29 64.48
"""
# Table 3. The runs of Table 1 on their own sources; unseen: D1, D2, D3.
IN_DOMAIN_EPIC = """
VAF simmmdg 82.19±0.39 78.80±0.26 78.54±1.04 79.84
VAF moosa   82.68±0.53 78.64±0.35 77.10±0.42 79.47
VAF cmrf    83.22±0.10 77.95±0.24 78.28±0.38 79.82
VAF mbcd    84.76±0.27 80.20±0.35 79.83±0.25 81.60
"""
# Table 4. Its rows: none, EMA, EMA + AMD, EMA + GCC, EMA + DL, all.
ABLATION_EPIC = """
AF  erm          53.56±1.53 59.14±1.54 56.71±0.94 56.47
AF  ema          57.52±0.02 64.90±0.50 60.41±0.35 60.94
AF  mbcd/ema-amd 58.63±0.16 65.57±0.70 60.58±0.67 61.59
AF  mbcd/ema-gcc 58.46±1.08 67.27±0.61 61.10±0.32 62.28
AF  mbcd/ema-dl  58.81±0.14 66.52±1.23 62.22±0.41 62.52
AF  mbcd         59.25±0.45 68.05±0.59 61.95±0.27 63.08
"""
# Table 5. Its rows: without, fixed, adaptive.
DROPOUT_HAC = """
AF  mbcd/no-dropout    62.82±1.77 64.24±1.26 45.22±0.67 57.43
AF  mbcd/fixed-dropout 64.34±0.65 64.42±0.59 47.89±0.69 58.88
AF  mbcd               63.76±0.91 65.64±0.69 49.05±0.19 59.48
"""


def _table(number: int, pairs: bool = False,
           **texts: str) -> PublishedTable:
    """Read the rows of one table, by dataset.

    Args:
        number (int): Its number in the paper.
        pairs (bool): Columns are pairs of domains, source by source, and the
            rows do not repeat that all have all modalities.
        **texts (str): Dataset to its rows.
    """
    scores: dict[Key, dict[str, Published]] = {}
    modalities: dict[str, tuple[tuple[str, ...], ...]] = {}
    for dataset, text in texts.items():
        columns = DOMAINS[dataset] if not pairs else tuple(
            f'{source} → {target}' for source, target in
            itertools.permutations(DOMAINS[dataset], 2))
        names = []
        for line in text.strip().splitlines():
            name, method, *values = (
                ['VAF', *line.split()] if pairs else line.split())
            method, _, variant = method.partition('/')
            numbers = [Published(*map(float, value.split('±')))
                       for value in values]
            key = (dataset, frozenset(SETS[name]), method, variant)
            scores[key] = dict(zip([*columns, AVERAGE], numbers, strict=True))
            names.append(name)
        modalities[dataset] = tuple(SETS[name]
                                    for name in dict.fromkeys(names))
    return PublishedTable(number, modalities, scores)


# By the kind of table, as the report names it.
TABLES = {
    'multi_source': _table(1, epic=MULTI_SOURCE_EPIC, hac=MULTI_SOURCE_HAC),
    'single_source': _table(2, pairs=True, epic=SINGLE_SOURCE_EPIC,
                            hac=SINGLE_SOURCE_HAC),
    'in_domain': _table(3, epic=IN_DOMAIN_EPIC),
    'ablation': _table(4, epic=ABLATION_EPIC),
    'dropout': _table(5, hac=DROPOUT_HAC),
}
