"""Loss against the radius of a random perturbation of the weights."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .style import legend_above, lines_of, panels, save

__all__ = ['plot']


def plot(numbers: Mapping, path: str | Path) -> None:
    """The loss, and what it grew by; bands are one standard deviation.

    Args:
        numbers (Mapping): ``numbers`` of flatness.json.
        path (str | Path): The picture.
    """
    figure, axes = panels(columns=2, rows=1)
    radii = numbers['radii']
    lines = lines_of(numbers['runs'])
    for name, run in numbers['runs'].items():
        losses = np.array(run['loss'])
        for axis, values in zip(axes[0], (losses, losses - run['at_zero']),
                                strict=True):
            mean, std = values.mean(0), values.std(0, ddof=1)
            axis.plot(radii, mean, label=name, **lines[name])
            axis.fill_between(radii, mean - std, mean + std, lw=0,
                              color=lines[name]['color'], alpha=.15)
    for axis, label in zip(axes[0], ('fused cross-entropy (nats)',
                                     'the same, less that at radius 0'),
                           strict=True):
        axis.set(xlabel="radius (share of each filter's norm)",
                 ylabel=label, xlim=(min(radii), max(radii)))
        axis.grid(alpha=.3)
    legend_above(figure)
    save(figure, path)
