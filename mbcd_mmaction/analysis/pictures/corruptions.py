"""Picture of accuracy over severities, a column each corruption."""
from collections.abc import Mapping
from pathlib import Path

from .style import legend_above, lines_of, panels, save

__all__ = ['plot']


def plot(numbers: Mapping, path: str | Path) -> None:
    """Above the fused prediction, below the corrupted modality's own.

    Args:
        numbers (Mapping): ``numbers`` of corruptions.json.
        path (str | Path): The picture.
    """
    runs = numbers['runs']
    conditions = list(dict.fromkeys(
        name for found in runs.values() for name in found['corrupted']))
    figure, axes = panels(len(conditions), 2, 2.9, 2.7)
    lines = lines_of(runs)
    for column, condition in enumerate(conditions):
        # several modalities at once have no output of their own
        own = condition.split(':')[0] if '+' not in condition else None
        for axis, output in zip(axes[:, column], ('fused', own), strict=True):
            if output is None:
                axis.set_axis_off()
                continue
            for run, found in runs.items():
                values = found['corrupted'].get(condition, {}).get(output)
                if values is not None:
                    top1 = [found['clean'][output], *values]
                    axis.plot([0, *found['severities']],
                              [100 * value for value in top1], marker='o',
                              ms=3, label=run, **lines[run])
            name = condition.replace('+', ' +\n').replace(':', ': ')
            axis.set(ylim=(0, 100), title=f'{output}\n{name}',
                     xlabel='severity (0: clean)', xticks=range(6))
            axis.title.set_fontsize(9)
            axis.grid(alpha=.3)
    for row in axes:
        row[0].set_ylabel('top-1 (%)')
    legend_above(figure)
    save(figure, path)
