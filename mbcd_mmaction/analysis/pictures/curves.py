"""Picture of accuracy over epochs, a panel each run (Fig. 5)."""
from collections.abc import Mapping
from pathlib import Path

from .style import colours_of, legend_above, panels, save

__all__ = ['plot']


def plot(numbers: Mapping, path: str | Path) -> None:
    """Draw the sources as lines, the target dashed.

    A single epoch on the target, that of the selected checkpoint, is a star.

    Args:
        numbers (Mapping): ``numbers`` of curves.json.
        path (str | Path): The picture, e.g. ``accuracy.png``.
    """
    runs = numbers['runs']
    figure, axes = panels(len(runs), 1)
    tested = set()
    for axis, (run, found) in zip(axes[0], runs.items(), strict=True):
        source, target = found['source'], found['target']
        tested.add(len(target['epochs']))
        for output, colour in colours_of(source['top1']).items():
            width = 2.5 if output == 'fused' else 1.3
            axis.plot(source['epochs'], _percent(source['top1'][output]),
                      color=colour, lw=width, label=output)
            if output in target['top1']:
                look = (dict(ls='--', lw=width) if len(target['epochs']) > 1
                        else dict(marker='*', ms=11, mec='white'))
                axis.plot(target['epochs'],
                          _percent(target['top1'][output]), color=colour,
                          **look)
        axis.axvline(found['selected'], color='#888888', lw=.8, ls=':')
        axis.set(title=run, xlabel='epoch (dotted: selected)', ylim=(0, 100))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=.3)
    side = {0: '', 1: '\nstars: unseen target'}.get(
        max(tested), '\ndashed: unseen target')
    axes[0][0].set_ylabel(f'top-1 (%)\nlines: source validation{side}')
    legend_above(figure)
    save(figure, path)


def _percent(values: list[float]) -> list[float]:
    return [100 * value for value in values]
