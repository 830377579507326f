"""RandomView and CenterView plan what the host's crops and flip do."""
import mmcv
import numpy as np
import pytest
from mmaction.datasets.transforms import CenterCrop, Resize

from mbcd_mmaction.datasets.transforms import CenterView, RandomView, View


def picture(height, width, channels=3):
    """Smooth, so that one resize or two hardly differ."""
    y, x = np.mgrid[:height, :width]
    planes = [128 + 100 * np.sin(x / width * 5 + c) * np.cos(y / height * 4)
              for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


def test_view_by_hand():
    frame = np.arange(24, dtype=np.uint8).reshape(4, 6)
    np.testing.assert_array_equal(
        View((1, 1, 3, 3), (2, 2))(frame), [[7, 8], [13, 14]])
    np.testing.assert_array_equal(
        View((1, 1, 3, 3), (2, 2), flip=True)(frame), [[8, 7], [14, 13]])
    resized = View((0, 0, 6, 4), (2, 3))(frame)
    np.testing.assert_array_equal(resized, mmcv.imresize(frame, (3, 2)))


@pytest.mark.parametrize('shape', [(256, 456), (1080, 1920), (301, 257),
                                   (64, 48)])
def test_center_view_sees_what_the_host_sees(shape):
    frame = picture(*shape)
    results = CenterView()(dict(img_shape=shape))
    ours = results['view'](frame)
    host = dict(imgs=[frame], img_shape=shape, modality='RGB')
    for step in (Resize(scale=(-1, 256)), CenterCrop(crop_size=224)):
        host = step(host)
    assert ours.shape == host['imgs'][0].shape == (224, 224, 3)
    # Half a pixel of the smaller frame at most, on a smooth picture.
    far = np.abs(ours.astype(int) - host['imgs'][0]).max()
    assert far <= 2 + 600 / min(shape)


def test_random_view_stays_inside_and_fills_the_range():
    np.random.seed(0)
    shares, flips = [], []
    for _ in range(500):
        view = RandomView()(dict(img_shape=(256, 456)))['view']
        left, top, right, bottom = view.box
        assert 0 <= left < right <= 456 and 0 <= top < bottom <= 256
        assert 0.7 < (right - left) / (bottom - top) < 1.4
        shares.append((right - left) * (bottom - top) / (256 * 456))
        flips.append(view.flip)
    assert min(shares) < .12 and max(shares) > .5
    assert 200 < sum(flips) < 300


def test_flip_ratio_ends():
    for ratio in (0.0, 1.0):
        flips = {RandomView(flip_ratio=ratio)(
            dict(img_shape=(8, 8)))['view'].flip for _ in range(20)}
        assert flips == {bool(ratio)}


def test_aligned_modalities_share_box_and_flip():
    """Of frames twice as large the same part, whatever the size."""
    for seed in range(20):
        np.random.seed(seed)
        shared = {}
        first, second = (
            RandomView()(dict(img_shape=shape, shared=shared, aligned=True))
            for shape in ((256, 456), (512, 912)))
        np.testing.assert_array_equal(
            np.array(first['view'].box) * 2, second['view'].box)
        assert first['view'].flip == second['view'].flip


def test_independent_modalities_do_not():
    np.random.seed(0)
    shared = {}
    boxes = {RandomView()(dict(img_shape=(256, 456), shared=shared,
                               aligned=False))['view'].box
             for _ in range(8)}
    assert len(boxes) == 8 and shared == {}


@pytest.mark.parametrize('shape', [(1, 1), (1, 5), (3, 2), (7, 1001)])
def test_tiny_and_thin_frames(shape):
    for seed in range(10):
        np.random.seed(seed)
        for step in (RandomView(size=8), CenterView(size=8, short_side=8)):
            view = step(dict(img_shape=shape))['view']
            assert view(np.zeros((*shape, 3), np.uint8)).shape == (8, 8, 3)
            assert view(np.zeros(shape, np.uint8)).shape == (8, 8)


def test_errors():
    with pytest.raises(ValueError, match='short_side of at least size'):
        CenterView(size=256, short_side=224)
    with pytest.raises(ValueError, match='positive number of pixels'):
        RandomView(size=0)
    with pytest.raises(ValueError, match='pair'):
        RandomView(size=(1, 2, 3))
    with pytest.raises(ValueError, match='area_range'):
        RandomView(area_range=(0.5, 1.5))
    with pytest.raises(ValueError, match='flip_ratio'):
        RandomView(flip_ratio=2)


@pytest.mark.parametrize('shape', [(60, 80, 3), (60, 80)])
@pytest.mark.parametrize('box', [(10, 5, 42, 37), (3, 4, 70, 50)])
@pytest.mark.parametrize('flip', [False, True])
def test_writing_a_view_in_place_gives_the_same(shape, box, flip):
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    view = View(box, (32, 32), flip)
    out = np.zeros((3, *view(frame).shape), np.uint8)
    view.write(frame, out[1])
    np.testing.assert_array_equal(out[1], view(frame))
    assert not out[[0, 2]].any()
