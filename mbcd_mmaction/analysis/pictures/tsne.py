"""The clips of two splits in the plane, by class and by domain."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .style import group_colours, panels, save

__all__ = ['plot']

# sources, target
MARKERS = {'val': 'o', 'test': '^'}


def plot(numbers: Mapping, path: str | Path) -> None:
    """A column a run: colours are classes above, domains below.

    Args:
        numbers (Mapping): ``numbers`` of tsne.json.
        path (str | Path): The picture.
    """
    runs = numbers['runs']
    figure, axes = panels(len(runs), rows=2, width=3.8, height=3.6)
    for column, (name, run) in enumerate(runs.items()):
        for row, (key, by) in enumerate({'labels': 'class',
                                         'domains': 'domain'}.items()):
            axis = axes[row][column]
            _scatter(axis, run, key)
            value = run['silhouettes'][by]
            said = 'undefined' if value is None else f'{value:.2f}'
            axis.set_title(f'{name}\nsilhouette by {by} {said}', fontsize=9)
            axis.set(xticks=[], yticks=[])
    for row, title in zip(axes, ('class', 'domain'), strict=True):
        row[-1].legend(title=title, fontsize=7, title_fontsize=8,
                       loc='center left', bbox_to_anchor=(1, .5))
    save(figure, path)


def _scatter(axis, run: Mapping, key: str) -> None:
    """One panel, with one entry of the legend a group and a split."""
    points = np.array(run['coordinates'])
    groups, splits = np.array(run[key]), np.array(run['splits'])
    colours = group_colours(np.unique(groups).tolist())
    for group, colour in colours.items():
        label = str(group)
        for split, marker in MARKERS.items():
            own = (groups == group) & (splits == split)
            if own.any():
                axis.scatter(*points[own].T, s=11, marker=marker, lw=0,
                             color=colour, alpha=.8, label=label)
                label = None
