"""Means over severities, rows, and the picture of corruptions."""
import json

import pytest
from matplotlib.image import imread

from mbcd_mmaction.analysis.corruptions import (
    corruption_numbers,
    corruption_rows,
)
from mbcd_mmaction.analysis.pictures import corruptions

MEASURED = [
    ('', 0, dict(fused=.9, depth=.8)),
    ('depth:blur', 1, dict(fused=.8, depth=.6)),
    ('depth:blur', 5, dict(fused=.6, depth=.1)),
    ('radar:rain', 1, dict(fused=.7, depth=.8)),
    ('radar:rain', 5, dict(fused=.5, depth=.8)),
]


def test_numbers():
    found = corruption_numbers(iter(MEASURED))
    assert found == json.loads(json.dumps(found))
    assert found['clean'] == dict(fused=.9, depth=.8)
    assert found['severities'] == [1, 5]
    assert found['corrupted']['depth:blur'] == dict(fused=[.8, .6],
                                                    depth=[.6, .1])
    assert found['mean']['depth:blur'] == pytest.approx(
        dict(fused=.7, depth=.35))
    assert found['mean_corrupted'] == pytest.approx(
        dict(fused=.65, depth=.575))
    assert corruption_numbers(MEASURED[:1])['mean_corrupted'] == {}
    with pytest.raises(ValueError, match='clean clips first'):
        corruption_numbers(MEASURED[1:])


def test_rows():
    rows = corruption_rows({'A': corruption_numbers(MEASURED)})
    assert [(r['corruption'], r['severity'], r['fused']) for r in rows] == [
        ('clean', 0, .9), ('depth:blur', 1, .8), ('depth:blur', 5, .6),
        ('depth:blur', 'mean', pytest.approx(.7)), ('radar:rain', 1, .7),
        ('radar:rain', 5, .5), ('radar:rain', 'mean', pytest.approx(.6)),
        ('all', 'mean', pytest.approx(.65))]
    assert all(r['run'] == 'A' and 'depth' in r for r in rows)


def test_picture(tmp_path):
    joint = [*MEASURED, *[('depth:blur+radar:rain', s, top1)
                          for (_, s, top1) in MEASURED[1:3]]]
    corruptions.plot(dict(runs={'A': corruption_numbers(joint),
                                'B': corruption_numbers(MEASURED)}),
                     tmp_path / 'a.png')
    picture = imread(tmp_path / 'a.png')[..., :3]
    assert picture.shape[1] > picture.shape[0] > 200
    assert picture.std() > .02
