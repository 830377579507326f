"""Picture of dominance ratio (Eq. 3) and drop probability (Eq. 4)."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .style import colours_of, legend_above, panels, save

__all__ = ['plot']

_TITLES = dict(dominance_ratio='dominance ratio',
               drop_prob='drop probability')


def plot(numbers: Mapping, path: str | Path) -> None:
    """Draw a column each run.

    Thin lines are single batches, thick ones the mean of five logged steps.

    Args:
        numbers (Mapping): ``numbers`` of dominance.json.
        path (str | Path): The picture, e.g. ``dominance.png``.
    """
    runs = numbers['runs']
    figure, axes = panels(len(runs), rows=2)
    for column, (run, found) in enumerate(runs.items()):
        colours = colours_of(found['dominance_ratio'])
        for axis, name in zip(axes[:, column], _TITLES, strict=True):
            for modality, values in found[name].items():
                axis.plot(found['steps'], values, color=colours[modality],
                          lw=.8, alpha=.4)
                axis.plot(found['steps'], _running_mean(values), lw=2,
                          color=colours[modality], label=modality)
            axis.grid(alpha=.3)
        ratio, prob = axes[:, column]
        if not prob.lines:
            prob.text(.5, .5, 'no modality dropout', ha='center',
                      transform=prob.transAxes)
        ratio.axhline(1, color='#888888', lw=.8, ls='--')
        ratio.set(title=run)
        prob.set(xlabel='step', ylim=(-.02, 1), xlim=ratio.get_xlim())
    for row, title in zip(axes, _TITLES.values(), strict=True):
        row[0].set_ylabel(title)
        low = min(axis.get_ylim()[0] for axis in row)
        high = max(axis.get_ylim()[1] for axis in row)
        for axis in row:
            axis.set_ylim(low, high)
    legend_above(figure)
    save(figure, path)


def _running_mean(values: Sequence[float], reach: int = 2) -> list[float]:
    """The mean of each value and its neighbours, fewer at the ends."""
    return [
        float(np.mean(values[max(0, i - reach):i + reach + 1]))
        for i in range(len(values))
    ]
