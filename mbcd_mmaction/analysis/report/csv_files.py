"""The numbers of a report as CSV, at full precision."""
import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

from ..records import Run
from .grid import Grid, Score, grid_of, output_names
from .layout import Layout
from .significance import Comparison

__all__ = ['comparisons_csv', 'outputs_csv', 'scores_csv']

SCORES = ('dataset', 'modalities', 'method', 'variant', 'sources', 'target',
          'mean', 'std', 'seeds', 'expected_seeds', 'published',
          'published_std')
COMPARISONS = (
    'table', 'dataset', 'modalities', 'method', 'variant', 'reference',
    'reference_variant', 'pairs', 'possible_pairs', 'better', 'equal',
    'worse', 'mean_difference', 'low_95', 'high_95', 't_p', 'wilcoxon_p',
    'wilcoxon_exact', 'holm_p', 'seed_pairs', 'seed_t_p', 'reason')


def scores_csv(layout: Layout, runs: Mapping[tuple, Run]) -> str:
    """One table: a line a cell, per cent; an empty field is missing."""
    return _csv(SCORES, (
        line for group in layout.groups
        for line in _lines(grid_of(layout, group, runs))))


def outputs_csv(layouts: Sequence[Layout],
                runs: Mapping[tuple, Run]) -> str:
    """All runs: fused and each modality's output, on target and sources.

    In-domain tables are not among them: they are multi-source on the sources.
    """
    return _csv(('table', 'metrics', 'output', *SCORES[:-2]), (
        [layout.kind, part, output, *line]
        for layout in layouts if layout.part == 'target'
        for group in layout.groups
        for part in ('target', 'source') for output in output_names(group)
        for *line, _, _ in _lines(
            grid_of(layout, group, runs, part, output))))


def comparisons_csv(
        compared: Iterable[tuple[Grid, Sequence[Comparison]]]) -> str:
    """All comparisons of all tables."""
    return _csv(COMPARISONS, (
        [grid.layout.kind, grid.layout.dataset,
         '+'.join(grid.group.modalities), one.row.method, one.row.variant,
         one.reference.method, one.reference.variant, one.pairs,
         one.possible, one.better, one.equal, one.worse,
         *map(_number, (one.difference, *(one.interval or (None, None)),
                        one.t_p, one.wilcoxon_p)),
         '' if one.wilcoxon_p is None else one.exact,
         _number(one.holm_p), one.seed_pairs, _number(one.seed_p),
         one.reason]
        for grid, found in compared for one in found))


def _lines(grid: Grid) -> Iterable[list]:
    """A line a cell of one group, and the average of each row."""
    layout, group = grid.layout, grid.group
    splits = {split.title: split for split in group.splits}
    for row, title in itertools.product(layout.rows, grid.titles):
        split = splits.get(title)  # None for the average
        published = grid.published(row, title)
        yield [layout.dataset, '+'.join(group.modalities), row.method,
               row.variant, '+'.join(sorted(split.sources)) if split else '',
               split.target if split else title,
               *_summary(grid.score(row, title)),
               *(('', '') if published is None else
                 ('' if number is None else f'{number:.2f}'
                  for number in published))]


def _summary(score: Score) -> tuple[str, str, int, int]:
    """Mean, standard deviation, seeds there and expected."""
    values = list(score.values.values())
    return (_per_cent(fmean(values) if values else None),
            _per_cent(stdev(values) if len(values) > 1 else None),
            len(values), score.expected)


def _per_cent(share: float | None) -> str:
    return '' if share is None else f'{100 * share:.6f}'


def _number(value: float | None) -> str:
    return '' if value is None else f'{value:.9g}'


def _csv(head: Sequence[str], rows: Iterable[Sequence]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator='\n').writerows([head, *rows])
    return file.getvalue()
