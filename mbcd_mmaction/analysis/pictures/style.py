"""What all pictures share: colours, panels, how one is saved."""
from collections.abc import Iterable
from pathlib import Path

import numpy as np

try:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('pictures need matplotlib: '
                      "pip install 'mbcd_mmaction[plot]'") from error

__all__ = [
    'COLOURS', 'FUSED_COLOUR', 'colours_of', 'group_colours', 'legend_above',
    'lines_of', 'panels', 'save'
]

# one colour an output in every picture; readable without colour vision
# (Okabe and Ito, Color Universal Design, 2008)
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
FUSED_COLOUR = '#222222'
DASHES = ('-', '--', ':')


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Each name to its colour, in the order of the names.

    'fused' has its own; after six others the colours come again.

    Args:
        names (Iterable[str]): Of outputs or methods.
    """
    names = list(names)
    others = [name for name in names if name != 'fused']
    colours = dict(zip(others, np.resize(COLOURS, len(others)).tolist(),
                       strict=True))
    return {name: colours.get(name, FUSED_COLOUR) for name in names}


def group_colours(groups: Iterable) -> dict:
    """Each class or domain to a colour of its own, up to twenty.

    Args:
        groups (Iterable): Different values.
    """
    groups = list(groups)
    colours = [*COLOURS, FUSED_COLOUR, '#999999']
    if len(groups) > len(colours):
        colours = [to_hex(colour) for colour in colormaps['tab20'].colors]
    return dict(zip(groups, np.resize(colours, len(groups)).tolist(),
                    strict=True))


def lines_of(names: Iterable[str]) -> dict[str, dict]:
    """Each method's line: keyword arguments of matplotlib's ``plot``.

    Where the colours come again the dashes are others.

    Args:
        names (Iterable[str]): Of methods, in one order in every picture.
    """
    return {
        name: dict(color=colour, ls=DASHES[i // len(COLOURS) % len(DASHES)])
        for i, (name, colour) in enumerate(colours_of(names).items())
    }


def panels(columns: int,
           rows: int,
           width: float = 4.2,
           height: float = 3.2) -> tuple[Figure, np.ndarray]:
    """An empty figure with rows x columns panels.

    Args:
        columns (int): Panels side by side.
        rows (int): Panels one above the other.
        width (float): Of a panel, inches. Defaults to 4.2.
        height (float): Of a panel, inches. Defaults to 3.2.

    Returns:
        tuple: The figure, and its axes as an array (rows, columns).
    """
    figure = Figure(figsize=(width * columns, height * rows),
                    layout='constrained')
    return figure, figure.subplots(rows, columns, squeeze=False)


def legend_above(figure: Figure) -> None:
    """One legend for all panels, of every name in any of them, above."""
    found = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(),
                                 strict=True):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), loc='outside upper center',
                  ncols=max(1, min(len(found), 4)), fontsize=8,
                  frameon=False)


def save(figure: Figure, path: str | Path) -> None:
    """Write a picture; its folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
