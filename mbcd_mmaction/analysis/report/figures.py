"""Figures of a report: accuracies as dots, a seed each."""
import io
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

import matplotlib
from matplotlib.figure import Figure

__all__ = ['Dots', 'Panels', 'as_numbers', 'draw']

# Readable on light and on dark paper.
SEED, MEAN, PAPER = '#7f8a99', '#2b7fc3', '#d8741a'
# Stands for the colour of the text around the figure; see _adapt.
INK = '#123454'
GRID = '#8f98a5'


@dataclass(frozen=True)
class Dots:
    """One row of one panel, in per cent."""
    seeds: Mapping[int, float]
    published: float | None = None


# Panel's title to row's label to its dots.
Panels = Mapping[str, Mapping[str, Dots]]


def as_numbers(panels: Panels) -> dict:
    """What a figure shows, for a JSON file; in per cent."""
    return {
        title: {
            label: dict(
                seeds={str(seed): round(value, 6)
                       for seed, value in dots.seeds.items()},
                mean=round(fmean(dots.seeds.values()), 6)
                if dots.seeds else None,
                std=round(stdev(dots.seeds.values()), 6)
                if len(dots.seeds) > 1 else None,
                published=dots.published)
            for label, dots in rows.items()
        }
        for title, rows in panels.items()
    }


def draw(panels: Panels) -> bytes:
    """One row a method, one panel a split or output; as SVG.

    A small dot is a seed, a large one with its bar their mean and standard
    deviation, a diamond the published number. The same numbers give the same
    bytes.
    """
    labels = list(next(iter(panels.values())))
    places = range(len(labels))
    # in inches; much faster than to let the layout be found
    left = .15 + .085 * max(map(len, labels))
    width, height = left + 2.55 * len(panels) + .1, .34 * len(labels) + 1.2
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(
        1, len(panels), sharey=True, sharex=True, squeeze=False,
        gridspec_kw=dict(left=left / width, right=1 - .1 / width, wspace=.04,
                         bottom=.5 / height, top=1 - .62 / height))[0]
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        for place, dots in zip(places, rows.values(), strict=True):
            _draw_row(axis, place, dots)
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_yticks(list(places), labels)
        axis.set_xlabel('top-1 (%)', fontsize=9)
        axis.grid(color=GRID, lw=.6, alpha=.35)
        axis.set_axisbelow(True)
    axes[0].set_ylim(len(labels) - .5, -.5)  # the first row on top
    for axis in axes:
        axis.patch.set_visible(False)
        for spine in axis.spines.values():
            spine.set_color(GRID)
        axis.tick_params(colors=INK, labelsize=9, length=0)
        axis.xaxis.label.set_color(INK)
    _key(figure, axes[0], any(dots.published is not None
                              for rows in panels.values()
                              for dots in rows.values()))
    return _svg(figure)


def _draw_row(axis, place: int, dots: Dots) -> None:
    values = list(dots.seeds.values())
    if values:
        axis.plot(values, [place + .24] * len(values), 'o', color=SEED, ms=4,
                  mew=0)
        axis.errorbar(fmean(values), place, xerr=stdev(values)
                      if len(values) > 1 else None, fmt='o', color=MEAN,
                      ms=7, lw=1.8)
    if dots.published is not None:
        axis.plot(dots.published, place, 'D', color=PAPER, ms=6, mfc='none',
                  mew=1.6)


def _key(figure: Figure, axis, published: bool) -> None:
    """A key above the panels, of dots drawn nowhere."""
    handles = [
        axis.plot([], [], 'o', color=SEED, ms=4, mew=0, label='one seed')[0],
        axis.plot([], [], '-o', color=MEAN, ms=7, lw=1.8,
                  label='mean ± standard deviation')[0],
    ]
    if published:
        handles.append(axis.plot([], [], 'D', color=PAPER, ms=6, mfc='none',
                                 mew=1.6, label='published')[0])
    figure.legend(handles=handles, loc='upper left', borderaxespad=.2,
                  frameon=False, ncols=len(handles), fontsize=9,
                  labelcolor=INK)


def _svg(figure: Figure) -> bytes:
    file = io.BytesIO()
    with matplotlib.rc_context({'svg.fonttype': 'none',
                                'svg.hashsalt': 'report'}):
        figure.savefig(file, format='svg', transparent=True, metadata={
            key: None for key in ('Creator', 'Date', 'Format', 'Type')})
    return _adapt(file.getvalue().decode()).encode()


def _adapt(svg: str) -> str:
    """Let the text's colour follow the reader's light or dark theme."""
    style = ('<style>svg{color:#1d2733}'
             '@media(prefers-color-scheme:dark){svg{color:#dfe5ec}}</style>')
    start = svg.index('>', svg.index('<svg ')) + 1
    return (svg[:start] + style + svg[start:]).replace(INK, 'currentColor')
