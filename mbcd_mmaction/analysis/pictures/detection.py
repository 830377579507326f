"""Picture of how well confidence tells errors and foreign clips apart."""
from collections.abc import Mapping
from pathlib import Path

from .style import lines_of, panels, save

__all__ = ['plot']

# Each panel: its title, its axes, and what the number in the legend is.
_PANELS = dict(
    risk_coverage=('risk and coverage', 'coverage (surest first)',
                   'error rate'),
    roc=('wrong predictions', 'wrong ones let in', 'correct ones let in'),
    roc_ood=('out-of-distribution clips', 'OOD clips let in',
             'known clips let in'))


def plot(numbers: Mapping, path: str | Path) -> None:
    """Draw the fused output of each run.

    Args:
        numbers (Mapping): ``numbers`` of detection.json.
        path (str | Path): The picture.
    """
    runs = numbers['runs']
    shown = [name for name in _PANELS
             if any(name in found['curves'] for found in runs.values())]
    figure, axes = panels(len(shown), 1, 3.6, 3.4)
    lines = lines_of(runs)
    for axis, name in zip(axes[0], shown, strict=True):
        title, x, y = _PANELS[name]
        for run, found in runs.items():
            if name in found['curves']:
                axis.plot(*found['curves'][name], lw=1.8, **lines[run],
                          label=f'{run}: {_area(found, name)}')
        if name != 'risk_coverage':
            axis.plot([0, 1], [0, 1], ls='--', lw=.8, color='#888888')
        axis.set(title=title, xlabel=x, ylabel=y, xlim=(0, 1),
                 ylim=(0, None if name == 'risk_coverage' else 1))
        axis.grid(alpha=.3)
        axis.legend(fontsize=8, title='AURC x 1000' if
                    name == 'risk_coverage' else 'AUROC (%)',
                    title_fontsize=8)
    save(figure, path)


def _area(found: Mapping, name: str) -> str:
    """The number that belongs to a curve, in the unit of the tables."""
    part = found['ood' if name == 'roc_ood' else 'misclassification']
    values = part[next(iter(part))]
    return (f'{1000 * values["aurc"]:.0f}' if name == 'risk_coverage' else
            f'{100 * values["auroc"]:.1f}')
