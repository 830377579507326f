"""Which tables a report has: their rows, splits and modality sets."""
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...datasets.epic import DOMAINS as EPIC
from ...datasets.hac import DOMAINS as HAC
from ...datasets.mini.recipe import DOMAINS as MINI
from ..published import TABLES
from ..records import Records, Run

__all__ = ['BENCHMARKS', 'METHODS', 'Group', 'Layout', 'Row', 'Split',
           'layouts_of', 'name_of']

# Folder of configs to printed name, in the order of rows.
METHODS = {
    'erm': 'ERM', 'ema': 'EMA', 'rna_net': 'RNA-Net', 'simmmdg': 'SimMMDG',
    'moosa': 'MOOSA', 'cmrf': 'CMRF', 'mbcd': 'MBCD',
}
BENCHMARKS = {'epic': tuple(EPIC), 'hac': tuple(HAC), 'mini': tuple(MINI)}
NAMES = {'epic': 'EPIC-Kitchens', 'hac': 'HAC', 'mini': 'the mini set'}


@dataclass(frozen=True)
class Row:
    """A method, or a variant of one, under its printed name."""
    label: str
    method: str
    variant: str = ''


@dataclass(frozen=True)
class Split:
    """What is trained on and what is tested, under a column's title."""
    title: str
    sources: frozenset[str]
    target: str


@dataclass(frozen=True)
class Group:
    """The rows of a table that share their modalities and splits."""
    title: str
    modalities: tuple[str, ...]
    splits: tuple[Split, ...]


@dataclass(frozen=True)
class Layout:
    """One table before its numbers.

    Attributes:
        kind (str): A key of ``published.TABLES``.
        dataset (str): As in the records.
        title (str): What it compares, and on which set.
        rows (tuple[Row]): In the order of the paper.
        reference (Row): What the others are tested against. It is among the
            rows, or has no runs.
        groups (tuple[Group]): All have as many splits, of the same titles.
        seeds (tuple[int]): Seeds of any of its runs, failed ones too.
    """
    kind: str
    dataset: str
    title: str
    rows: tuple[Row, ...]
    reference: Row
    groups: tuple[Group, ...]
    seeds: tuple[int, ...]

    @property
    def part(self) -> str:
        """Whose clips it is about: the unseen 'target' or the 'source'."""
        return 'source' if self.kind == 'in_domain' else 'target'

    @property
    def name(self) -> str:
        """For files."""
        return f'{self.kind}_{self.dataset}'

    def identities(self, row: Row, group: Group,
                   split: Split) -> Iterator[tuple]:
        """The run of each seed, as :attr:`Run.identity` names it."""
        for seed in self.seeds:
            yield (self.dataset, row.method, row.variant,
                   tuple(sorted(group.modalities)),
                   tuple(sorted(split.sources)), split.target, seed)

    def all_identities(self) -> set[tuple]:
        """Every run that the table is made of."""
        return {
            identity for row in self.rows for group in self.groups
            for split in group.splits
            for identity in self.identities(row, group, split)
        }


ALL = tuple(Row(label, method) for method, label in METHODS.items())
# Title, what is trained on, and rows; the first is the reference. In the
# order of the paper's tables.
KINDS = {
    'multi_source': ('Multi-source', 'all others', ALL),
    'single_source': ('Single-source', 'one other', ALL),
    'in_domain': ('In-domain', 'all others', ALL),
    'ablation': ('Ablation', 'all others', (
        Row('none (ERM)', 'erm'), Row('EMA', 'ema'),
        Row('EMA + AMD', 'mbcd', 'ema-amd'),
        Row('EMA + GCC', 'mbcd', 'ema-gcc'),
        Row('EMA + DL', 'mbcd', 'ema-dl'), Row('all (MBCD)', 'mbcd'))),
    'dropout': ('Modality dropout', 'all others', (
        Row('none', 'mbcd', 'no-dropout'),
        Row('fixed', 'mbcd', 'fixed-dropout'),
        Row('adaptive (MBCD)', 'mbcd'))),
}


def name_of(dataset: str) -> str:
    """A set's printed name."""
    return NAMES.get(dataset, dataset)


def layouts_of(records: Records,
               datasets: Sequence[str] | None = None) -> list[Layout]:
    """The tables of a report.

    Those of the paper are always there, and those of any other kind and set
    where it has runs.

    Args:
        records (Records): Finished and failed runs count alike.
        datasets (Sequence[str], optional): Only these sets. Defaults to those
            of the paper and those of the records.

    Raises:
        ValueError: If a set is asked for that has neither.
    """
    runs = (*records.runs, *records.failed)
    held = {run.dataset for run in runs}
    known = [*BENCHMARKS, *sorted(held - set(BENCHMARKS))]
    there = [name for name in known if name in held | {'epic', 'hac'}]
    absent = set(datasets or ()) - set(there)
    if absent:
        raise ValueError(f'expected some of the sets {there}, got '
                         f'{sorted(absent)}: the records have no run of it')
    layouts = []
    for dataset in dict.fromkeys(datasets or there):
        own = [run for run in runs if run.dataset == dataset]
        made = {kind: _layout(kind, dataset, own) for kind in KINDS}
        layouts += _without_repetition(made, own).values()
    return [layout for layout in layouts if layout.groups]


def _layout(kind: str, dataset: str, runs: Sequence[Run]) -> Layout:
    """One kind of table on one set; without groups where it has nothing."""
    title, trained, rows = KINDS[kind]
    domains = BENCHMARKS.get(dataset) or tuple(sorted(
        {domain for run in runs for domain in (*run.sources, run.target)}))
    splits = _splits(trained, domains, kind == 'in_domain')
    wanted = {(split.sources, split.target) for split in splits}
    keys = {(row.method, row.variant) for row in rows}
    own = [run for run in runs if (run.method, run.variant) in keys
           and (frozenset(run.sources), run.target) in wanted]
    published = TABLES[kind].modalities.get(dataset, ())
    if any(row.variant for row in rows):
        # its plain rows are runs of the first table as well
        sets = {frozenset(run.modalities) for run in own if run.variant}
        sets |= {frozenset(modalities) for modalities in published}
        own = [run for run in own if frozenset(run.modalities) in sets]
    return Layout(
        kind, dataset, f'{title}, {name_of(dataset)}',
        _rows(rows, kind, dataset, own), rows[0],
        tuple(Group(' + '.join(modalities), modalities, splits)
              for modalities in _modality_sets(own, published)),
        seeds=tuple(sorted({run.seed for run in own})))


def _rows(rows: Sequence[Row], kind: str, dataset: str,
          runs: Sequence[Run]) -> tuple[Row, ...]:
    """Those that the paper has or that have runs; on the mini set all."""
    if dataset in BENCHMARKS and dataset not in TABLES[kind].modalities:
        return tuple(rows)
    there = {(run.method, run.variant) for run in runs}
    there |= {(method, variant) for name, _, method, variant
              in TABLES[kind].scores if name == dataset}
    return tuple(row for row in rows if (row.method, row.variant) in there)


def _splits(trained: str, domains: Sequence[str],
            on_sources: bool) -> tuple[Split, ...]:
    """The columns of a table; on the sources, their title says so."""
    if trained == 'one other':
        return tuple(Split(f'{source} → {target}', frozenset([source]),
                           target)
                     for source, target in itertools.permutations(domains, 2))
    if len(domains) < 3:  # the only other one is a single source
        return ()
    return tuple(Split(f'without {target}' if on_sources else target,
                       frozenset(domains) - {target}, target)
                 for target in domains)


def _modality_sets(runs: Sequence[Run], first: Sequence[tuple[str, ...]]
                   ) -> list[tuple[str, ...]]:
    """The paper's sets, then those of the runs, small ones first."""
    known = {frozenset(modalities) for modalities in first}
    found = {frozenset(run.modalities): run.modalities for run in runs}
    return [*first, *sorted(
        (modalities for key, modalities in found.items()
         if key not in known),
        key=lambda modalities: (len(modalities), modalities))]


def _without_repetition(layouts: Mapping[str, Layout],
                        runs: Sequence[Run]) -> dict[str, Layout]:
    """Leave out multi-source groups that an ablation shows whole.

    The paper's own groups stay. In-domain has the groups of multi-source
    that have runs, as it is made of the same.
    """
    first, inner = layouts['multi_source'], layouts['in_domain']
    others = [layout for layout in layouts.values()
              if layout not in (first, inner)]
    shown = set().union(*(layout.all_identities() for layout in others))
    rest = {run.identity for run in runs} - shown
    paper = TABLES[first.kind].modalities.get(first.dataset, ())
    first = _with_groups(first, [
        group for group in first.groups if group.modalities in paper
        or replace(first, groups=(group, )).all_identities() & rest], runs)
    kept = {group.modalities for group in first.groups}
    inner = _with_groups(inner, [
        group for group in inner.groups if group.modalities in kept], runs)
    if inner.dataset not in TABLES[inner.kind].modalities:
        inner = replace(inner, rows=first.rows)
    return {**layouts, first.kind: first, inner.kind: inner}


def _with_groups(layout: Layout, groups: Sequence[Group],
                 runs: Sequence[Run]) -> Layout:
    """With some of its groups, and the seeds of these."""
    layout = replace(layout, groups=tuple(groups))
    identities = layout.all_identities()
    return replace(layout, seeds=tuple(sorted(
        {run.seed for run in runs if run.identity in identities})))
