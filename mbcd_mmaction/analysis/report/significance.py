"""Paired comparisons of methods on the same splits and seeds.

What each test takes for independent, and what that is worth here, is said in
docs/report.md.
"""
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from .grid import Grid
from .layout import Row

__all__ = ['LEAST_PAIRS', 'LEAST_SEEDS', 'Comparison', 'compare', 'holm',
           'smallest_p']

# With five pairs the smallest two-sided p of the signed-rank test is 2 / 2^5
# = .0625: no result could be called significant at .05.
LEAST_PAIRS = 6
LEAST_SEEDS = 3
# Up to here all 2^n signs are tried where there are ties.
MOST_ENUMERATED = 13


@dataclass(frozen=True)
class Comparison:
    """One row of a table against the reference.

    Attributes:
        row (Row): What is compared.
        reference (Row): What with.
        pairs (int): Cells (split and seed) that both have.
        possible (int): Cells of the table.
        better, equal, worse (int): Pairs by the sign of their difference.
        difference (float | None): Mean, in percentage points.
        interval (tuple[float, float] | None): 95 % of Student's t for it.
        t_p (float | None): Paired t-test over the cells.
        wilcoxon_p (float | None): Signed-rank test over the cells.
        exact (bool): Whether that p is exact, not by a normal approximation.
        holm_p (float | None): The same, corrected for the number of rows.
        seed_pairs (int): Seeds whose average over the splits both have.
        seed_p (float | None): Paired t-test over those.
        reason (str): Why something is missing, '' where nothing is.
    """
    row: Row
    reference: Row
    pairs: int
    possible: int
    better: int
    equal: int
    worse: int
    difference: float | None = None
    interval: tuple[float, float] | None = None
    t_p: float | None = None
    wilcoxon_p: float | None = None
    exact: bool = True
    holm_p: float | None = None
    seed_pairs: int = 0
    seed_p: float | None = None
    reason: str = ''


def compare(grid: Grid) -> list[Comparison]:
    """Each row of a group against the reference, with Holm's p-values.

    Args:
        grid (Grid): Accuracies of one group.
    """
    reference = grid.layout.reference
    found = [_compare(grid, row, reference) for row in grid.layout.rows
             if row != reference]
    tested = [one.wilcoxon_p for one in found if one.wilcoxon_p is not None]
    corrected = iter(holm(tested))
    return [one if one.wilcoxon_p is None else
            replace(one, holm_p=next(corrected)) for one in found]


def holm(values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction of p-values, in their order."""
    order = np.argsort(values, kind='stable')
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank)
                                   * float(values[place])))
        corrected[place] = largest
    return corrected


def smallest_p(pairs: int) -> float:
    """Of the exact two-sided signed-rank test with pairs that all differ."""
    return 2.0 / 2**pairs


def differences(grid: Grid, row: Row, reference: Row) -> np.ndarray:
    """Percentage points, of the cells that both have.

    Rounded: two shares of the same clips that differ equally must tie.
    """
    values = grid.values
    return np.round([
        100 * (values[row, split.title, seed]
               - values[reference, split.title, seed])
        for split in grid.group.splits for seed in grid.layout.seeds
        if {(row, split.title, seed), (reference, split.title, seed)}
        <= values.keys()
    ], 6)


def _compare(grid: Grid, row: Row, reference: Row) -> Comparison:
    gaps = differences(grid, row, reference)
    ours, theirs = grid.average(row).values, grid.average(reference).values
    seeds = np.round([100 * (ours[seed] - theirs[seed])
                      for seed in ours if seed in theirs], 6)
    one = Comparison(
        row, reference, len(gaps),
        len(grid.group.splits) * len(grid.layout.seeds),
        int(np.sum(gaps > 0)), int(np.sum(gaps == 0)), int(np.sum(gaps < 0)),
        difference=float(np.mean(gaps)) if len(gaps) else None,
        seed_pairs=len(seeds))
    if len(gaps) < LEAST_PAIRS:
        return replace(one, reason=f'{len(gaps)} pairs, at least '
                                   f'{LEAST_PAIRS} are needed')
    p, exact = _wilcoxon(gaps)
    one = replace(one, wilcoxon_p=p, exact=exact)
    reasons = []
    if np.ptp(gaps) == 0:
        reasons.append('all differences are equal: no t-test')
    else:
        test = stats.ttest_1samp(gaps, 0.0)
        interval = test.confidence_interval(.95)
        one = replace(one, t_p=float(test.pvalue),
                      interval=(float(interval.low), float(interval.high)))
    if len(seeds) < LEAST_SEEDS:
        reasons.append(f'{len(seeds)} whole seeds, at least {LEAST_SEEDS} '
                       'are needed for a test over seeds')
    elif np.ptp(seeds) == 0:
        reasons.append('the average differs equally in all seeds')
    else:
        one = replace(one, seed_p=float(
            stats.ttest_1samp(seeds, 0.0).pvalue))
    return replace(one, reason='; '.join(reasons))


def _wilcoxon(gaps: np.ndarray) -> tuple[float, bool]:
    """Two-sided p of the signed-rank test, and whether it is exact.

    Pairs without a difference say nothing and are left out (Wilcoxon's own
    rule). Without ties among the rest SciPy counts up to 50 pairs; with ties
    it tries all signs of up to 13, and approximates beyond.
    """
    rest = gaps[gaps != 0]
    if not len(rest):
        return 1.0, True
    tied = len(np.unique(np.abs(rest))) < len(rest)
    if not tied and len(rest) <= 50:
        method = 'exact'
    elif len(rest) <= MOST_ENUMERATED:
        method = stats.PermutationMethod(n_resamples=2**len(rest))
    else:
        method = 'asymptotic'
    found = stats.wilcoxon(rest, method=method)
    return float(found.pvalue), method != 'asymptotic'
