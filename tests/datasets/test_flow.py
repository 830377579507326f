import cv2
import numpy as np
import pytest
import tiny_media

from mbcd_mmaction.datasets.readers import VideoReader
from mbcd_mmaction.datasets.transforms import FlowFlip

GREYS = [np.full((32, 64), value, np.uint8) for value in range(256)]


def read(path, indices):
    return VideoReader(str(path)).read(indices, 'grey')


@pytest.mark.parametrize('codec, pix_fmt, options, tolerance', [
    ('libx264', 'yuv420p', dict(qp='0'), 1),
    ('libx264', 'yuv444p', dict(qp='0'), 1),
    ('libx264', 'yuvj420p', dict(crf='1'), 1),
    ('mpeg4', 'yuv420p', dict(qmin='1', qmax='1'), 2),
    ('ffv1', 'gray', {}, 0),
    ('ffv1', 'bgr0', {}, 0),
])
def test_grey_levels_come_back(tmp_path, codec, pix_fmt, options, tolerance):
    path = tmp_path / ('u.mkv' if codec == 'ffv1' else 'u.mp4')
    tiny_media.write_video(path, GREYS, codec, pix_fmt, **options)
    frames = read(path, range(256))
    found = np.array([frames[n].mean() for n in range(256)])
    assert frames[7].shape == (32, 64)
    assert frames[7].dtype == np.uint8
    assert np.abs(found - np.arange(256)).max() <= tolerance
    assert found[128] == pytest.approx(128, abs=1 if codec == 'mpeg4' else 0)
    assert abs((found - np.arange(256)).mean()) < .3


@pytest.mark.parametrize('coloured', [False, True])
def test_grey_levels_of_opencv(tmp_path, coloured):
    path = str(tmp_path / 'u.mp4')
    fourcc = cv2.VideoWriter_fourcc(*'mp4v')
    writer = cv2.VideoWriter(path, fourcc, 30, (64, 32), coloured)
    for grey in GREYS[::8]:
        writer.write(cv2.merge([grey] * 3) if coloured else grey)
    writer.release()
    found = np.array([x.mean() for _, x in sorted(read(path,
                                                       range(32)).items())])
    # OpenCV rounds colours down on the way in.
    assert np.abs(found - np.arange(0, 256, 8)).max() <= (2 if coloured else 1)
    assert abs(found[16] - 128) <= coloured


def test_odd_sizes(tmp_path):
    frames = [np.full((33, 51), 60 + 9 * n, np.uint8) for n in range(4)]
    tiny_media.write_video(tmp_path / 'u.mp4', frames, pix_fmt='yuv444p')
    found = read(tmp_path / 'u.mp4', [3])[3]
    assert found.shape == (33, 51)
    assert np.abs(found.astype(int) - 87).max() <= 2


def test_flip_mirrors_all_and_inverts_x_only():
    rng = np.random.default_rng(0)
    imgs = [rng.integers(0, 256, (4, 6, 2), dtype=np.uint8) for _ in range(3)]
    expected = [img[:, ::-1].copy() for img in imgs]
    for img in expected:
        img[..., 0] = 255 - img[..., 0]
    results = FlowFlip(flip_ratio=1.)(
        dict(imgs=[img.copy() for img in imgs], modality='Flow',
             img_shape=(4, 6)))
    for found, wanted in zip(results['imgs'], expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert results['flip']
    still = FlowFlip(flip_ratio=0.)(
        dict(imgs=imgs, modality='Flow', img_shape=(4, 6)))
    np.testing.assert_array_equal(still['imgs'], imgs)


def test_flip_of_crops_and_of_other_modalities():
    base = np.arange(2 * 8 * 9 * 2, dtype=np.uint8).reshape(2, 8, 9, 2)
    crops = [frame[2:6, 1:7] for frame in base.copy()]  # views, not compact
    results = FlowFlip(flip_ratio=1.)(
        dict(imgs=crops, modality='Flow', img_shape=(4, 6)))
    np.testing.assert_array_equal(results['imgs'][1][..., 1],
                                  base[1, 2:6, 1:7][:, ::-1, 1])
    np.testing.assert_array_equal(results['imgs'][1][..., 0],
                                  255 - base[1, 2:6, 1:7][:, ::-1, 0])
    rgb = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    results = FlowFlip(flip_ratio=1.)(
        dict(imgs=list(rgb.copy()), modality='RGB', img_shape=(2, 4)))
    np.testing.assert_array_equal(results['imgs'][0], rgb[0, :, ::-1])
    # Two-axis frames x, y, x, y ...: as the host does.
    x, y = np.full((2, 3), 10, np.uint8), np.full((2, 3), 20, np.uint8)
    results = FlowFlip(flip_ratio=1.)(
        dict(imgs=[x, y], modality='Flow', img_shape=(2, 3)))
    assert [img[0, 0] for img in results['imgs']] == [245, 20]
