"""Accuracy against the strength of noise on one modality."""
from collections.abc import Mapping
from pathlib import Path

from .style import legend_above, lines_of, panels, save

__all__ = ['plot']


def plot(numbers: Mapping, path: str | Path) -> None:
    """Above the fused prediction, below the disturbed modality's own.

    Args:
        numbers (Mapping): ``numbers`` of noise.json.
        path (str | Path): The picture, a column a disturbed modality.
    """
    noisy, strengths = numbers['noisy'], numbers['strengths']
    figure, axes = panels(columns=len(noisy), rows=2, height=2.8)
    lines = lines_of(numbers['runs'])
    for column, modality in enumerate(noisy):
        for axis, output in zip(axes[:, column], ('fused', modality),
                                strict=True):
            for name, run in numbers['runs'].items():
                shares = run['top1'].get(modality, {}).get(output)
                if shares is not None:
                    axis.plot(strengths, [100 * s for s in shares],
                              marker='o', ms=3, label=name, **lines[name])
                axis.axhline(100 * run['chance'], color='#888888', lw=.8,
                             ls='--')
            axis.set(ylim=(0, 100), title=f'{output}, noise on {modality}')
            axis.grid(alpha=.3)
        axes[1][column].set_xlabel('strength of the noise')
    for row in axes:
        row[0].set_ylabel('top-1 (%)')
    legend_above(figure)
    save(figure, path)
