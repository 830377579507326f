"""Numbers and pictures of whole trainings: curves and dominance."""
import json
import math

import pytest
from matplotlib.image import imread

from mbcd_mmaction.analysis.curves import accuracy_curves, curve_rows
from mbcd_mmaction.analysis.dominance import dominance_numbers, dominance_rows
from mbcd_mmaction.analysis.pictures import curves, dominance
from mbcd_mmaction.analysis.pictures.dominance import _running_mean
from mbcd_mmaction.analysis.scalars import Scalars


def validated(epoch, fused, depth):
    return {'step': epoch, 'acc/top1': fused, 'acc/depth/top1': depth,
            'acc/D2/top1': fused, 'acc/D2/depth/top1': depth,
            'acc/num_clips': 8}


def stepped(step, depth, radar, **more):
    return dict(step=step, loss=1.0, dominance_ratio_depth=depth,
                dominance_ratio_radar=radar, **more)


LOG = Scalars(
    [stepped(10, 1.5, .5, drop_prob_depth=.46, drop_prob_radar=0.),
     stepped(20, 1.1, .9, drop_prob_depth=.1, drop_prob_radar=0.)],
    [validated(1, .25, .5), validated(2, .75, .5), validated(3, .5, .25)])


def test_curves():
    found = accuracy_curves(LOG, {2: dict(fused=.3, depth=.1),
                                  1: dict(fused=.4, depth=.2)})
    assert found == json.loads(json.dumps(found))
    assert found['source'] == dict(epochs=[1, 2, 3], top1=dict(
        fused=[.25, .75, .5], depth=[.5, .5, .25]))
    assert found['target'] == dict(epochs=[1, 2], top1=dict(
        fused=[.4, .3], depth=[.2, .1]))


def test_the_target_selects_nothing():
    for targets in ({}, {1: dict(fused=1.)}, {3: dict(fused=1.)}):
        assert accuracy_curves(LOG, targets)['selected'] == 2
    with pytest.raises(ValueError, match='nothing to select by'):
        accuracy_curves(Scalars([], []))


def test_rows_of_curves():
    rows = curve_rows({'A': accuracy_curves(LOG, {2: dict(fused=.3)}),
                       'B': accuracy_curves(LOG)})
    assert len(rows) == 3 + 1 + 3
    assert rows[3] == dict(run='A', part='target', epoch=2, selected=True,
                           fused=.3, depth=None)
    assert [r['selected'] for r in rows[4:]] == [False, True, False]


def test_dominance():
    found = dominance_numbers(LOG)
    assert found == json.loads(json.dumps(found))
    assert found['steps'] == [10, 20]
    assert found['dominance_ratio'] == dict(depth=[1.5, 1.1],
                                            radar=[.5, .9])
    assert found['drop_prob'] == dict(depth=[.46, .1], radar=[0, 0])
    assert found['mean']['dominance_ratio'] == pytest.approx(
        dict(depth=1.3, radar=.7))
    # Eq. 4 ties the two
    assert found['drop_prob']['depth'][0] == pytest.approx(
        math.tanh(.5), abs=.01)


def test_dominance_without_dropout_or_ratio():
    plain = Scalars([stepped(1, 1., 1.), stepped(2, 1.2, .9)], [])
    found = dominance_numbers(plain)
    assert found['drop_prob'] == found['mean']['drop_prob'] == {}
    rows = dominance_rows({'A': dominance_numbers(LOG), 'B': found})
    assert len(rows) == 8
    assert rows[0] == dict(run='A', step=10, modality='depth',
                           dominance_ratio=1.5, drop_prob=.46)
    assert rows[-1] == dict(run='B', step=2, modality='radar',
                            dominance_ratio=.9, drop_prob=None)
    for rows in ([], [dict(step=1, loss=1.)]):
        with pytest.raises(ValueError, match='expected dominance_ratio_'):
            dominance_numbers(Scalars(rows, []))


def drawn(path):
    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 200
    assert picture.std() > .02  # something is drawn
    return picture


def test_pictures(tmp_path):
    one = {2: dict(fused=.3, depth=.1)}
    seen = []
    for name, targets in (('none', {}), ('star', one),
                          ('dashed', {**one, 3: dict(fused=.5, depth=.6)})):
        path = tmp_path / f'{name}.png'
        curves.plot(dict(runs={'ERM': accuracy_curves(LOG, targets),
                               'MBCD': accuracy_curves(LOG)}), path)
        seen.append(drawn(path))
    assert not (seen[0] == seen[1]).all() and not (seen[1] == seen[2]).all()
    plain = Scalars([stepped(1, 1., 1.), stepped(2, 1.2, .9)], [])
    dominance.plot(dict(runs={'ERM': dominance_numbers(plain),
                              'MBCD': dominance_numbers(LOG)}),
                   tmp_path / 'd.png')
    drawn(tmp_path / 'd.png')


def test_running_mean():
    values = [0, 5, 10, 15, 20, 25]
    assert _running_mean(values) == [5, 7.5, 10, 15, 17.5, 20]
    # a log shorter than the window, too
    assert _running_mean([1.0, 2.0]) == [1.5, 1.5]
