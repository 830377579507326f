"""Which figures a report has, and what they show."""
from collections.abc import Mapping

from ..published import AVERAGE, Published
from ..records import Run
from ..tables import mean_std
from .document import Picture
from .figures import Dots, Panels, as_numbers, draw
from .grid import FUSED, Score, grid_of, output_names
from .layout import Group, Layout

__all__ = ['charts_of']


def charts_of(layout: Layout, group: Group,
              runs: Mapping[tuple, Run]) -> list[tuple[Picture, dict]]:
    """Accuracy by split, and by output (as the paper's Fig. 4).

    Args:
        layout (Layout): A table.
        group (Group): A group of it that has runs.
        runs (Mapping[tuple, Run]): Identity to finished run.

    Returns:
        list[tuple[Picture, dict]]: Each with the numbers it shows.
    """
    name = f'{layout.name}_{"-".join(group.modalities)}'
    about = f'{layout.title}, {group.title}'
    return [
        _chart(f'accuracy_{name}', f'Unseen target, fused: {about}. One panel '
               'a target, and their average.',
               _by_split(layout, group, runs)),
        _chart(f'outputs_{name}', f'Unseen target, each output: {about}. '
               "Fused and each modality's own head, average of the targets.",
               _by_output(layout, group, runs)),
    ]


def _by_split(layout: Layout, group: Group,
              runs: Mapping[tuple, Run]) -> Panels:
    grid = grid_of(layout, group, runs)
    return {
        title: {row.label: _dots(grid.score(row, title),
                                 grid.published(row, title))
                for row in layout.rows}
        for title in grid.titles
    }


def _by_output(layout: Layout, group: Group,
               runs: Mapping[tuple, Run]) -> Panels:
    panels = {}
    for output in output_names(group):
        grid = grid_of(layout, group, runs, output=output)
        panels[output] = {row.label: _dots(grid.average(row))
                          for row in layout.rows}
    return panels


def _dots(score: Score, published: Published | None = None) -> Dots:
    return Dots({seed: 100 * value for seed, value in score.values.items()},
                published.mean if published else None)


def _chart(name: str, caption: str, panels: Panels) -> tuple[Picture, dict]:
    last = AVERAGE if AVERAGE in panels else FUSED
    told = [f'{label} {mean_std([v / 100 for v in dots.seeds.values()])}'
            for label, dots in panels[last].items() if dots.seeds]
    alt = (f'Dot plot, one row a method. {last.capitalize()}, top-1 in per '
           f'cent: {", ".join(told) or "no run"}.')
    numbers = dict(caption=caption, unit='per cent',
                   panels=as_numbers(panels))
    return Picture(f'figures/{name}.svg', caption, alt, draw(panels)), numbers
