"""The whole report as a neutral document."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..published import PAPER, TABLES
from ..records import Records, Run
from . import cells, gaps
from .document import Block, Document, Heading, Items, Picture, Text
from .grid import Grid, grid_of
from .layout import Group, Layout, layouts_of, name_of
from .provenance import provenance_table, summary
from .significance import Comparison, compare

__all__ = ['Charts', 'Report', 'make_report']

# Makes the figures of one group, each with its numbers.
Charts = Callable[[Layout, Group, Mapping[tuple, Run]],
                  list[tuple[Picture, dict]]]
HOW_TO_READ = (
    'Top-1 (%), mean ± standard deviation over seeds (n - 1 in the '
    'denominator). The average is taken over the splits seed by seed, then '
    'over the seeds.',
    'The checkpoint is the one of the best epoch on the validation split of '
    'the sources; the target is read by the test alone.',
    '"missing" has not been run, or failed; an average that lacks a split is '
    'missing too. A number with (n=2) is of two seeds where the table has '
    'more.',
    'Cells share seeds, domains and test clips, so they are not independent: '
    'the tests over cells make differences look surer than they are. The '
    'test over seeds has one pair a seed, and little power with few.',
)
PAPER_NOTE = (f'"paper" is {PAPER}: mean ± standard deviation of three seeds, '
              'the average without one; "-" where it has no number.')
NO_FIGURES = ('Made without figures, which need matplotlib: '
              "`pip install 'mbcd_mmaction[plot]'`.")


@dataclass(frozen=True)
class Section:
    """What is told of one table, and the numbers behind it.

    Attributes:
        blocks (tuple[Block]): To print.
        comparisons (tuple): Each group that has runs, with its comparisons.
        numbers (Mapping[str, dict]): File of a figure to what it shows.
    """
    blocks: tuple[Block, ...] = ()
    comparisons: tuple[tuple[Grid, Sequence[Comparison]], ...] = ()
    numbers: Mapping[str, dict] = field(default_factory=dict)

    def __add__(self, other: 'Section') -> 'Section':
        """One below the other."""
        return Section(self.blocks + other.blocks,
                       self.comparisons + other.comparisons,
                       {**self.numbers, **other.numbers})


@dataclass(frozen=True)
class Report:
    """A document, and the numbers behind it.

    Attributes:
        document (Document): All that is printed.
        layouts (list[Layout]): Its tables.
        runs (Mapping[tuple, Run]): Identity to finished run.
        body (Section): The sections of the tables.
    """
    document: Document
    layouts: list[Layout]
    runs: Mapping[tuple, Run]
    body: Section


def make_report(records: Records, command: str,
                datasets: Sequence[str] | None = None,
                charts: Charts | None = None,
                pictures: Sequence[Picture] = ()) -> Report:
    """Put everything together.

    Args:
        records (Records): What to report.
        command (str): Printed as the command that makes the report.
        datasets (Sequence[str], optional): Only these sets.
        charts (Callable, optional): Makes the figures of a group; None: no
            figures.
        pictures (Sequence[Picture]): Figures made elsewhere.

    Raises:
        ValueError: If ``datasets`` names one without runs.
    """
    layouts = layouts_of(records, datasets)
    if datasets is not None:
        records = replace(
            records,
            runs=tuple(r for r in records.runs if r.dataset in datasets),
            failed=tuple(r for r in records.failed if r.dataset in datasets))
    runs = {run.identity: run for run in records.runs}
    names = list(dict.fromkeys(layout.dataset for layout in layouts))
    level = 3 if len(names) > 1 else 2
    body = Section()
    for name in names:
        if len(names) > 1:
            body += Section((Heading(_capital(name_of(name))), ))
        for layout in layouts:
            if layout.dataset == name:
                body += _section(layout, runs, charts, level)
    blocks = (
        *_opening(records, layouts, command),
        *(() if charts else (Text(NO_FIGURES), )), *body.blocks,
        *((Heading('Further figures'), *pictures) if pictures else ()),
        Heading('Failed runs'), *gaps.failed_runs(records.failed),
        Heading('Missing cells'), *gaps.missing_cells(layouts, records),
        *gaps.outside_runs(layouts, records.runs),
        Heading('Provenance'), provenance_table(records))
    title = (f'Results on {name_of(names[0])}' if len(names) == 1
             else 'Results')
    return Report(Document(title, blocks), layouts, runs, body)


def _opening(records: Records, layouts: Sequence[Layout],
             command: str) -> list[Block]:
    """The command, what there is, and how to read it."""
    beside = any(layout.dataset in TABLES[layout.kind].modalities
                 for layout in layouts)
    return [Text(f'Made by `{command}`.'), Text(summary(records)),
            Items((*HOW_TO_READ, *((PAPER_NOTE, ) if beside else ())))]


def _section(layout: Layout, runs: Mapping[tuple, Run],
             charts: Charts | None, level: int) -> Section:
    """A table, and what there is to say of each group that has runs."""
    section = Section((Heading(layout.title.partition(',')[0], level),
                       cells.result_table(layout, runs)))
    for group in layout.groups:
        identities = replace(layout, groups=(group, )).all_identities()
        if identities.isdisjoint(runs):
            continue
        if len(layout.groups) > 1:
            section += Section((Heading(_capital(group.title), level + 1), ))
        section += _tests(layout, group, runs)
        if layout.kind == 'multi_source':
            section += _details(layout, group, runs, charts)
        if layout.kind == 'in_domain':
            section += Section((cells.outputs_table(layout, group, runs), ))
    return section


def _tests(layout: Layout, group: Group,
           runs: Mapping[tuple, Run]) -> Section:
    """Each row against the reference."""
    grid = grid_of(layout, group, runs)
    found = compare(grid)
    if not any(one.pairs for one in found):
        return Section((Text('No test: no run has a counterpart of '
                             f'{layout.reference.label}.'), ),
                       ((grid, found), ))
    return Section(
        (cells.significance_table(grid, found),
         *gaps.reasons([(one.row.label, one.reason) for one in found])),
        ((grid, found), ))


def _details(layout: Layout, group: Group, runs: Mapping[tuple, Run],
             charts: Charts | None) -> Section:
    """All pairs of rows, each output, and figures."""
    made = charts(layout, group, runs) if charts else []
    return Section(
        (cells.pairs_table(grid_of(layout, group, runs)),
         cells.outputs_table(layout, group, runs),
         *(picture for picture, _ in made)),
        numbers={picture.file: numbers for picture, numbers in made})


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
