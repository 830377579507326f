"""Pictures of a training: accuracy over epochs, balance over steps."""
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .pictures.style import FUSED_COLOUR, colours_of, panels, save
from .scalars import Scalars

__all__ = ['plot_accuracy', 'plot_balance']


def plot_accuracy(runs: Mapping[str, Scalars],
                  path: str | Path,
                  targets: Mapping[str, Mapping] | None = None) -> None:
    """Source-validation top-1 over epochs, fused and per modality.

    Args:
        runs (Mapping[str, Scalars]): Title of a panel to its training.
        path (str | Path): The picture, e.g. ``accuracy.png``.
        targets (Mapping[str, Mapping], optional): Title to ``epoch`` and
            ``target_metrics`` of the selected checkpoint, drawn as stars.
    """
    figure, axes = panels(len(runs), rows=1)
    for axis, (title, scalars) in zip(axes[0], runs.items(), strict=True):
        epochs = [row['step'] for row in scalars.val]
        lines = {'fused': ('acc/top1', FUSED_COLOUR, 2.5)}
        for modality, colour in _modalities(scalars):
            lines[modality] = (f'acc/{modality}/top1', colour, 1.3)
        for label, (key, colour, width) in lines.items():
            values = [100 * row[key] for row in scalars.val]
            axis.plot(epochs, values, color=colour, lw=width, label=label)
            target = (targets or {}).get(title)
            if target is not None and key in target['target_metrics']:
                axis.plot(target['epoch'],
                          100 * target['target_metrics'][key], '*',
                          color=colour, ms=11, mec='white')
        axis.set(title=title, xlabel='epoch', ylim=(0, 100))
        axis.grid(alpha=.3)
    axes[0][0].set_ylabel('top-1 (%)\nlines: source validation\n'
                          'stars: unseen target')
    axes[0][0].legend(loc='lower right', fontsize=8)
    save(figure, path)


def plot_balance(runs: Mapping[str, Scalars], path: str | Path) -> None:
    """Dominance ratio (Eq. 3) and drop probability (Eq. 4) over steps.

    Thin lines are single batches, thick ones the mean of five logged steps.

    Args:
        runs (Mapping[str, Scalars]): Title of a column to its training.
        path (str | Path): The picture, e.g. ``balance.png``.
    """
    figure, axes = panels(len(runs), rows=2)
    for column, (title, scalars) in enumerate(runs.items()):
        steps = [row['step'] for row in scalars.train]
        ratio, prob = axes[0][column], axes[1][column]
        for modality, colour in _modalities(scalars):
            for axis, name in ((ratio, 'dominance_ratio'),
                               (prob, 'drop_prob')):
                key = f'{name}_{modality}'
                if key in scalars.train[0]:
                    values = [row[key] for row in scalars.train]
                    axis.plot(steps, values, color=colour, lw=.8, alpha=.4)
                    axis.plot(steps, _running_mean(values), color=colour,
                              lw=2, label=modality)
        if not prob.lines:
            prob.text(.5, .5, 'no modality dropout', ha='center',
                      transform=prob.transAxes)
        ratio.axhline(1, color='#888888', lw=.8, ls='--')
        ratio.set(title=title)
        prob.set(xlabel='step', ylim=(-.02, 1), xlim=ratio.get_xlim())
        for axis in (ratio, prob):
            axis.grid(alpha=.3)
    axes[0][0].set_ylabel('dominance ratio')
    axes[1][0].set_ylabel('drop probability')
    for row in axes:
        low = min(axis.get_ylim()[0] for axis in row)
        high = max(axis.get_ylim()[1] for axis in row)
        for axis in row:
            axis.set_ylim(low, high)
    axes[0][0].legend(fontsize=8)
    save(figure, path)


def _modalities(scalars: Scalars) -> Sequence[tuple[str, str]]:
    """Each modality that was logged, with its colour."""
    lead = 'dominance_ratio_'
    names = [k[len(lead):] for k in scalars.train[0] if k.startswith(lead)]
    return list(colours_of(names).items())


def _running_mean(values: Sequence[float], reach: int = 2) -> list[float]:
    """The mean of each value and its neighbours, fewer at the ends."""
    return [
        float(np.mean(values[max(0, i - reach):i + reach + 1]))
        for i in range(len(values))
    ]
