"""The numbers of a table: rows by splits by seeds."""
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from ..published import AVERAGE, TABLES, Published
from ..records import Run
from .layout import Group, Layout, Row

__all__ = ['FUSED', 'Grid', 'Score', 'grid_of', 'output_names']

FUSED = 'fused'


@dataclass(frozen=True)
class Score:
    """One cell: an accuracy over seeds.

    Attributes:
        values (Mapping[int, float]): Seed to top-1, a share in [0, 1].
        expected (int): Seeds that the table has.
    """
    values: Mapping[int, float]
    expected: int

    def __bool__(self) -> bool:
        """Whether there is anything to average."""
        return bool(self.values)


@dataclass(frozen=True)
class Grid:
    """One group of a table, for one output of the networks.

    Attributes:
        layout (Layout): Gives the rows and seeds.
        group (Group): Gives the splits.
        values (Mapping): Row, column's title and seed to top-1, a share in
            [0, 1]; absent where there is no such run.
    """
    layout: Layout
    group: Group
    values: Mapping[tuple[Row, str, int], float]

    @property
    def titles(self) -> tuple[str, ...]:
        """The columns: the splits, and their average."""
        return (*(split.title for split in self.group.splits), AVERAGE)

    def score(self, row: Row, title: str) -> Score:
        """One column."""
        if title == AVERAGE:
            return self.average(row)
        return Score(
            {seed: self.values[row, title, seed]
             for seed in self.layout.seeds
             if (row, title, seed) in self.values}, len(self.layout.seeds))

    def average(self, row: Row) -> Score:
        """Over the splits, seed by seed; a seed that lacks one has none."""
        titles = self.titles[:-1]
        averages = {}
        for seed in self.layout.seeds:
            found = [self.values[row, title, seed] for title in titles
                     if (row, title, seed) in self.values]
            if len(found) == len(titles):
                averages[seed] = fmean(found)
        return Score(averages, len(self.layout.seeds))

    def published(self, row: Row, title: str) -> Published | None:
        """The paper's number, in per cent; None where it has none."""
        table = TABLES[self.layout.kind]
        if self.layout.part == 'source':  # it names a column by its target
            title = {split.title: split.target
                     for split in self.group.splits}.get(title, title)
        return table.score(self.layout.dataset, self.group.modalities,
                           row.method, row.variant, title)


def grid_of(layout: Layout, group: Group, runs: Mapping[tuple, Run],
            part: str | None = None, output: str = FUSED) -> Grid:
    """Take one group's numbers from the runs.

    Args:
        layout (Layout): The table.
        group (Group): One of its groups.
        runs (Mapping[tuple, Run]): Identity to finished run.
        part (str, optional): 'target', the test on the unseen domain, or
            'source', the validation that selected the epoch. Defaults to what
            the table is about.
        output (str): 'fused', or a modality's own head.
    """
    part = part or layout.part
    key = 'acc/top1' if output == FUSED else f'acc/{output}/top1'
    values = {}
    for row in layout.rows:
        for split in group.splits:
            for identity in layout.identities(row, group, split):
                run = runs.get(identity)
                if run is None:
                    continue
                metrics = (run.target_metrics if part == 'target'
                           else run.source_metrics)
                if key in metrics:
                    values[row, split.title, run.seed] = metrics[key]
    return Grid(layout, group, values)


def output_names(group: Group) -> tuple[str, ...]:
    """What a network of the group says: fused, and each modality."""
    return (FUSED, *group.modalities)
