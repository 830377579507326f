"""Fused accuracy of each subset of the modalities, method by method."""
import math
from collections.abc import Mapping
from pathlib import Path

from .style import panels, save

__all__ = ['plot']


def plot(numbers: Mapping, path: str | Path) -> None:
    """A row a run, a column a subset, top-1 (%) in the cells.

    Args:
        numbers (Mapping): ``numbers`` of missing_modalities.json.
        path (str | Path): The picture.
    """
    subsets, runs = numbers['subsets'], numbers['runs']
    cells = [[100 * run.get(subset, math.nan) for subset in subsets]
             for run in runs.values()]
    figure, axes = panels(1, 1, width=1.5 + .95 * len(subsets),
                          height=1.4 + .42 * len(runs))
    axis = axes[0][0]
    axis.imshow(cells, cmap='Blues', vmin=0, vmax=100, aspect='auto')
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            text = '-' if math.isnan(value) else f'{value:.1f}'
            axis.text(column, row, text, ha='center', va='center',
                      color='white' if value > 60 else '#222222')
    axis.set_xticks(range(len(subsets)),
                    [subset.replace(' + ', '\n+ ') for subset in subsets])
    axis.set_yticks(range(len(runs)), list(runs))
    axis.tick_params(length=0)
    axis.set_title('top-1 (%) of the fused prediction from these modalities '
                   'alone', fontsize=9)
    save(figure, path)
