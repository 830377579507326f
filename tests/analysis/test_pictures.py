"""Each picture is drawn from the numbers of its JSON alone."""
import pytest
from matplotlib.image import imread

from mbcd_mmaction.analysis.pictures import (
    flatness,
    missing_modalities,
    noise,
    style,
    tsne,
)

NUMBERS = {
    flatness: dict(radii=[0.0, .5, 1.0], runs={
        'ERM': dict(at_zero=1.0, loss=[[1.0, 1.5, 3.0], [1.0, 1.7, 2.5]]),
        'MBCD': dict(at_zero=.8, loss=[[.8, .9, 1.5], [.8, 1.0, 1.1]])}),
    missing_modalities: dict(subsets=['x', 'y', 'x + y'], runs={
        'ERM': {'x': .5, 'y': .25, 'x + y': .75}, 'MBCD': {'x': .5}}),
    # the second model has one modality less
    noise: dict(strengths=[0.0, 1.0], noisy=['x', 'y'], runs={
        'ERM': dict(chance=.25, top1={
            m: dict(fused=[.9, .5], x=[.8, .4], y=[.7, .3])
            for m in 'xy'}),
        'MBCD': dict(chance=.25, top1=dict(x=dict(fused=[.9, .7])))}),
    tsne: dict(runs={
        name: dict(coordinates=[[0, 1], [1, 0], [2, 2], [3, 1]],
                   labels=[0, 1, 0, 2], domains=['D1', 'D2', 'D2', 'D3'],
                   splits=['val', 'val', 'test', 'test'],
                   silhouettes={'class': value, 'domain': .25})
        for name, value in (('ERM', None), ('MBCD', .5))}),
}


@pytest.mark.parametrize('picture', NUMBERS,
                         ids=lambda module: module.__name__.split('.')[-1])
def test_something_is_drawn(picture, tmp_path):
    path = tmp_path / 'new' / 'picture.png'
    picture.plot(NUMBERS[picture], path)
    image = imread(path)[..., :3]
    assert min(image.shape[:2]) > 100
    assert image.std() > .02


def test_one_run_is_enough(tmp_path):
    for picture, numbers in NUMBERS.items():
        name, run = next(iter(numbers['runs'].items()))
        path = tmp_path / f'{picture.__name__}.png'
        picture.plot({**numbers, 'runs': {name: run}}, path)
        assert path.stat().st_size > 1000


def test_legend_has_the_names_of_all_panels():
    figure, axes = style.panels(columns=2, rows=1)
    axes[0][0].plot([0, 1], label='ERM')
    for name in ('ERM', 'MBCD'):
        axes[0][1].plot([0, 1], label=name)
    style.legend_above(figure)
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['ERM', 'MBCD']


def test_colours():
    names = [f'm{i}' for i in range(8)]
    colours = style.colours_of(['fused', *names])
    assert list(colours) == ['fused', *names]
    assert colours['fused'] == style.FUSED_COLOUR
    assert [colours[n] for n in names[:6]] == list(style.COLOURS)
    lines = style.lines_of(names)
    assert len({(x['color'], x['ls']) for x in lines.values()}) == 8
    assert len(set(style.group_colours(range(8)).values())) == 8
    assert len(set(style.group_colours(range(20)).values())) == 20
    assert len(style.group_colours(range(25))) == 25
    assert style.colours_of([]) == style.group_colours([]) == {}
