"""Tables of a report: numbers as texts."""
import itertools
from collections.abc import Mapping, Sequence

from ..published import TABLES
from ..records import Run
from ..tables import mean_std
from .document import MISSING, UNKNOWN, Table, join, plain
from .grid import Grid, Score, grid_of, output_names
from .layout import Group, Layout
from .significance import Comparison, differences, smallest_p

__all__ = ['outputs_table', 'pairs_table', 'result_table', 'score_text',
           'significance_table']

ABOUT = {
    'multi_source': 'Each column is the domain that is unseen in training; '
    'the others are trained on.',
    'single_source': 'Trained on one domain, tested on another.',
    'ablation': 'EMA: averaged weights; AMD: adaptive modality dropout; GCC: '
    'gradient consistency; DL: distillation.',
    'dropout': 'MBCD without modality dropout, with one fixed probability, '
    'and with the adaptive one.',
    'in_domain': 'The multi-source runs on the domains they were trained on, '
    'all but the one that the column names: fused, on the clips of the '
    'sources that are not trained on. The checkpoint is selected by this '
    'very score.',
}


def score_text(score: Score) -> str:
    """'61.3 ± 1.2'; with '(n=2)' where the table has more seeds."""
    if not score:
        return MISSING
    text = mean_std(list(score.values.values()))
    count = len(score.values)
    return text if count == score.expected else f'{text} (n={count})'


def seeds_text(layout: Layout) -> str:
    """Which seeds a table has."""
    seeds = [str(seed) for seed in layout.seeds]
    if not seeds:
        return 'No run of it is in the records.'
    return f'Seed{"s" if len(seeds) > 1 else ""} {join(seeds)}.'


def result_table(layout: Layout, runs: Mapping[tuple, Run]) -> Table:
    """Ours, and the paper's numbers beside it where one is known."""
    grids = [grid_of(layout, group, runs) for group in layout.groups]
    titles = grids[0].titles
    beside = layout.dataset in TABLES[layout.kind].modalities
    rows = []
    for grid, row in itertools.product(grids, layout.rows):
        cells = [grid.group.title, row.label]
        for title in titles:
            cells.append(score_text(grid.score(row, title)))
            if beside:
                cells.append(str(grid.published(row, title) or UNKNOWN))
        rows.append(tuple(cells))
    heads = [(title, part) for title in titles
             for part in (('ours', 'paper') if beside else ('', ))]
    return _grouped(
        f'{layout.title}{number_text(layout)}',
        f'{ABOUT[layout.kind]} {seeds_text(layout)}',
        heads, rows, f'table_{layout.name}')


def number_text(layout: Layout) -> str:
    """' (the paper's Table 1)' where the paper has this set."""
    published = TABLES[layout.kind]
    if layout.dataset not in published.modalities:
        return ''
    return f" (the paper's Table {published.number})"


def _grouped(title: str, about: str, heads: Sequence[tuple[str, str]],
             rows: Sequence[tuple[str, ...]], name: str) -> Table:
    """With a column of groups, or with the only one in the caption."""
    groups = {row[0] for row in rows}
    if len(groups) > 1:
        return Table(f'{title}. {about}',
                     (*plain('modalities', 'method'), *heads), tuple(rows),
                     stubs=2, name=name)
    return Table(f'{title}, {groups.pop()}. {about}',
                 (*plain('method'), *heads),
                 tuple(row[1:] for row in rows), name=name)


def outputs_table(layout: Layout, group: Group,
                  runs: Mapping[tuple, Run]) -> Table:
    """Fused and each modality's own head, average of the splits."""
    names = output_names(group)
    grids = [grid_of(layout, group, runs, output=name) for name in names]
    title = {'target': 'Unseen target', 'source': 'Sources'}[layout.part]
    return Table(
        f'{title}, each output, {group.title}. Average of the splits.',
        plain('method', *names),
        tuple((row.label, *(score_text(grid.average(row)) for grid in grids))
              for row in layout.rows))


def pairs_table(grid: Grid) -> Table:
    """Every row against every one before it, cell by cell."""
    there = [row for row in grid.layout.rows
             if any(key[0] == row for key in grid.values)]
    rows = []
    for place, row in enumerate(there[1:], 1):
        cells = []
        for other in there[:place]:
            gaps = differences(grid, row, other)
            cells.append(
                f'{gaps.mean():+.1f} ({sum(gaps > 0)}/{sum(gaps == 0)}/'
                f'{sum(gaps < 0)})' if len(gaps) else MISSING)
        rows.append((row.label, *cells,
                     *[''] * (len(there) - 1 - len(cells))))
    return Table(
        f'Unseen target, fused, cell by cell, {grid.group.title}. Mean '
        'difference of the row to the column in points, and in how many '
        'cells (target and seed) the row is (better/equal/worse).',
        plain('row to column', *(row.label for row in there[:-1])),
        tuple(rows))


def p_text(value: float | None, exact: bool = True) -> str:
    """Four decimals; '~' before an approximation."""
    if value is None:
        return MISSING
    return ('' if exact else '~') + (
        '<0.0001' if value < 1e-4 else f'{value:.4f}')


def significance_table(grid: Grid, found: Sequence[Comparison]) -> Table:
    """Each row against the reference, and how sure that is."""
    rows = []
    for one in found:
        interval = MISSING if one.interval is None else (
            f'{one.interval[0]:+.1f} to {one.interval[1]:+.1f}')
        rows.append((
            one.row.label, f'{one.pairs} of {one.possible}',
            f'{one.better}/{one.equal}/{one.worse}',
            MISSING if one.difference is None else f'{one.difference:+.1f}',
            interval, p_text(one.t_p), p_text(one.wilcoxon_p, one.exact),
            p_text(one.holm_p, one.exact), p_text(one.seed_p)))
    tested = [one for one in found if one.wilcoxon_p is not None]
    most = max((one.pairs for one in tested), default=0)
    least = '' if not tested else (
        f' With {most} pairs that all differ the smallest exact signed-rank '
        f'p is {p_text(smallest_p(most))}, and '
        f"{p_text(min(1.0, len(tested) * smallest_p(most)))} after Holm's "
        f'correction for {len(tested)} rows.')
    return Table(
        f'Against {grid.layout.reference.label} on the same splits and seeds, '
        f'{grid.group.title}.{least}',
        (*plain('method', 'pairs', 'better/equal/worse'),
         ('difference', 'mean'), ('difference', '95 %'),
         ('p over cells', 't-test'), ('p over cells', 'signed-rank'),
         ('p over cells', 'Holm'), ('p over seeds', 't-test')), tuple(rows))
