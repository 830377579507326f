"""Flow that is computed from videos, read back through our own reader."""
import cv2
import numpy as np
import own_videos
import pytest

from mbcd_mmaction.datasets.errors import MediaError
from mbcd_mmaction.datasets.extraction import flow
from mbcd_mmaction.datasets.readers import VideoReader

LEVEL = 40 / 255  # pixels


def pair(tmp_path, video, **options):
    """Flow files of a video, as readers of x and y."""
    paths = [str(tmp_path / f'{name}.mp4') for name in 'xy']
    flow.write_flow(*paths, str(video), **options)
    return [VideoReader(path) for path in paths]


def levels(reader):
    found = reader.read(range(reader.num_frames), kind='grey')
    return np.stack([found[i] for i in range(reader.num_frames)])


def test_quantise():
    field = np.array([-30, -20, -1.4 * LEVEL, 0, 1.4 * LEVEL, 3, 20, 30])
    assert flow.quantise(field).tolist() == [
        0, 0, 126, 128, 129, round(23 / 40 * 255), 255, 255]
    inside = np.linspace(-20, 20, 10001)
    back = flow.quantise(inside) * LEVEL - 20
    assert np.abs(back - inside).max() <= LEVEL / 2 + 1e-9


@pytest.mark.parametrize('method', flow.METHODS)
def test_methods(method):
    if method == 'tvl1' and not hasattr(cv2, 'optflow'):
        pytest.skip('this OpenCV has no contrib modules')
    one, two = own_videos.moving(2, dx=3, dy=-2)
    field = flow.flow_method(method)(one, two)
    assert field.shape == (64, 64, 2) and field.dtype == np.float32
    inner = field[8:-8, 8:-8]
    np.testing.assert_allclose(np.median(inner, (0, 1)), [3, -2], atol=.1)
    assert not flow.flow_method(method)(one, one).any()


def test_unknown_method():
    with pytest.raises(ValueError, match=r"\['dis', 'tvl1'\], got 'farne'"):
        flow.flow_method('farne')


def test_without_contrib(monkeypatch):
    monkeypatch.delattr(cv2, 'optflow', raising=False)
    with pytest.raises(ValueError, match='opencv-contrib-python'):
        flow.flow_method('tvl1')


def test_no_motion_reads_back_as_128(tmp_path):
    own_videos.write_movie(tmp_path / 'still.mp4', own_videos.moving(9))
    readers = pair(tmp_path, tmp_path / 'still.mp4', short_side=0)
    for reader in readers:
        assert reader.num_frames == 8
        assert np.unique(levels(reader)).tolist() == [128]


@pytest.mark.parametrize('dx, dy', [(2, 0), (0, -3), (-1, 2)])
def test_a_translation_reads_back_in_sign_and_size(tmp_path, dx, dy):
    """Right and down are positive; within quantisation and encoding."""
    frames = own_videos.moving(13, dx, dy)
    own_videos.write_movie(tmp_path / 'a.mp4', frames)
    readers = pair(tmp_path, tmp_path / 'a.mp4', short_side=0)
    for reader, expected in zip(readers, (dx, dy), strict=True):
        assert reader.num_frames == 12
        field = levels(reader)[:, 8:-8, 8:-8] * LEVEL - 20
        assert abs(np.median(field) - expected) <= LEVEL


def test_flow_is_in_pixels_of_the_resized_frame(tmp_path):
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(7, 2, -1))
    readers = pair(tmp_path, tmp_path / 'a.mp4', short_side=128)
    for reader, expected in zip(readers, (4, -2), strict=True):
        assert reader.shape == (128, 128)
        field = levels(reader)[:, 16:-16, 16:-16] * LEVEL - 20
        assert abs(np.median(field) - expected) <= 1.5 * LEVEL


@pytest.mark.parametrize('size, short, expected', [
    ((1080, 1920), 256, (256, 456)), ((64, 64), 256, (256, 256)),
    ((100, 75), 256, (342, 256)), ((63, 91), 0, (64, 92)),
    ((720, 1280), 0, (720, 1280)), ((3, 1001), 2, (2, 668))])
def test_sizes_are_even(size, short, expected):
    high, wide = flow.even_size(*size, short)
    assert high % 2 == wide % 2 == 0
    assert abs(high - expected[0]) <= 2 and abs(wide - expected[1]) <= 2


@pytest.mark.parametrize('step', [1, 2, 3])
def test_number_and_times(tmp_path, step):
    """Frame i lies at the time of video frame i * step, at any rate."""
    frames = own_videos.moving(11, 1)
    own_videos.write_movie(tmp_path / 'a.mp4', frames, rate=30)
    for reader in pair(tmp_path, tmp_path / 'a.mp4', step=step,
                       short_side=64):
        assert reader.num_frames == 10 // step
        np.testing.assert_allclose(
            reader.times, np.arange(10 // step) * step / 30, atol=2e-4)
        assert reader.fps == pytest.approx(30 / step, rel=.02)


def test_variable_rate(tmp_path):
    times = np.cumsum([0, .04, .04, .2, .04, .3, .04, .04])
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(8, 1),
                           times=times)
    for reader in pair(tmp_path, tmp_path / 'a.mp4', short_side=64):
        np.testing.assert_allclose(reader.times, times[:-1], atol=2e-4)


def test_part_of_a_video(tmp_path):
    """The part moves otherwise than the rest, and only it is seen."""
    frames = (own_videos.moving(20, 3) + own_videos.moving(10, 0, 2)
              + own_videos.moving(20, 3))
    own_videos.write_movie(tmp_path / 'a.mp4', frames, rate=25)
    x, y = pair(tmp_path, tmp_path / 'a.mp4', segment=(.8, 1.2),
                short_side=0)
    assert x.num_frames == y.num_frames == 9
    assert x.times[0] == 0
    assert abs(np.median(levels(x)) * LEVEL - 20) <= LEVEL
    assert abs(np.median(levels(y)) * LEVEL - 20 - 2) <= LEVEL


def test_frames_in_another_order(monkeypatch):
    """A stream that is refreshed bit by bit gives some frames late."""

    class Late:
        def frames(self, numbers, kind):
            for number in (1, 0, 2, 5, 3, 4):
                yield number, np.full((4, 4), number, np.uint8)

    found = list(flow._grey_frames(Late(), range(6), (4, 4)))
    assert [frame[0, 0] for frame in found] == list(range(6))


def test_to_the_end_of_a_video(tmp_path):
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(25, 1))
    for reader in pair(tmp_path, tmp_path / 'a.mp4', segment=(.4, None),
                       short_side=0):
        assert reader.num_frames == 14


def test_a_rotated_video_is_upright(tmp_path):
    """Moves to the right as stored, so down as it is shown."""
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(
        9, 2, size=(48, 96)), turn=-90)
    readers = pair(tmp_path, tmp_path / 'a.mp4', short_side=0)
    for reader, expected in zip(readers, (0, 2), strict=True):
        assert reader.shape == (96, 48)
        field = levels(reader)[:, 8:-8, 8:-8] * LEVEL - 20
        assert abs(np.median(field) - expected) <= LEVEL


@pytest.mark.parametrize('count, step', [(1, 1), (2, 2)])
def test_too_short(tmp_path, count, step):
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(count))
    with pytest.raises(MediaError, match=f'at least {step + 1} frames'):
        pair(tmp_path, tmp_path / 'a.mp4', step=step)


def test_colour_of_odd_size(tmp_path):
    """An odd frame cannot be yuv420p; its flow is of even size."""
    grey = own_videos.moving(5, 1, size=(63, 75))
    frames = [np.stack([f, 255 - f, f], -1) for f in grey]
    with own_videos.av.open(str(tmp_path / 'a.avi'), 'w') as file:
        stream = file.add_stream('ffv1', rate=25)
        stream.height, stream.width, stream.pix_fmt = 63, 75, 'bgr0'
        for frame in frames:
            image = own_videos.av.VideoFrame.from_ndarray(frame, 'rgb24')
            file.mux(stream.encode(image))
        file.mux(stream.encode())
    for reader in pair(tmp_path, tmp_path / 'a.avi', short_side=0):
        assert (reader.num_frames, reader.shape) == (4, (64, 76))
