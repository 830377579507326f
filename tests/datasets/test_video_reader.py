import weakref

import av
import cv2
import numpy as np
import pytest
import tiny_media
from tiny_films import (
    CASES,
    FILM,
    check,
    in_sequence,
    write_at,
    write_case,
)

from mbcd_mmaction.datasets.readers import VideoReader


@pytest.mark.parametrize('name, codec, options', CASES,
                         ids=[case[0] for case in CASES])
def test_any_frames_equal_a_whole_decode(tmp_path, name, codec, options):
    path = tmp_path / name
    write_case(path, codec, options)
    times, wanted = in_sequence(path)
    assert len(wanted) == len(FILM)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted)
    assert reader.shape == (48, 64)
    if times[-1]:
        np.testing.assert_allclose(reader.times,
                                   np.array(times) - times[0], atol=1e-9)
    rng = np.random.default_rng(2)
    cases = [[0], [59], [23, 24, 25], [40, 3, 3, 40], range(60),
             range(1, 60, 2), range(11, 43, 4)]
    cases += [rng.integers(0, 60, 4) for _ in range(8)]
    for indices in cases:
        check(reader, wanted, indices)


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_variable_frame_rate(tmp_path, suffix):
    path = tmp_path / f'vfr.{suffix}'
    stamps = [500 + n * 20 + n % 3 * 7 + 400 * (n > 20) for n in range(60)]
    write_at(path, FILM, stamps, g='6', bf='2')
    _, wanted = in_sequence(path)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted) == 60
    times = (np.array(stamps) - 500) / 1000
    np.testing.assert_allclose(reader.times, times, atol=1e-9)
    for indices in ([59], [0], [13, 28], range(60)):
        check(reader, wanted, indices)
    part = VideoReader(str(path), (.3, .9))
    inside = np.flatnonzero((times >= .3) & (times < .9))
    np.testing.assert_allclose(part.times, times[inside] - .3, atol=1e-9)
    check(part, wanted[inside[0]:], range(part.num_frames))


def test_only_what_is_needed_is_decoded(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='10', bf='0', sc_threshold='0')
    reader = VideoReader(path)
    media = reader.media
    before = media.packets_decoded
    assert before <= 1  # a look at the size
    reader.read([33, 35, 33])
    assert media.packets_decoded - before == 6  # 30 to 35
    reader.read([2, 51])
    assert media.packets_decoded - before == 6 + 3 + 2
    reader.read([8, 12])
    assert media.packets_decoded - before == 6 + 3 + 2 + 9 + 3
    reader.read([9, 10])  # the second stretch follows on the first
    assert media.packets_decoded - before == 6 + 3 + 2 + 9 + 3 + 11


def test_frames_that_nobody_refers_to_are_skipped(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='60', bf='3', sc_threshold='0',
                           b_strategy='0')
    reader = VideoReader(path)
    before = reader.frames_decoded
    packets = reader.media.packets_decoded
    reader.read(range(0, 60, 4))
    given = reader.media.packets_decoded - packets
    assert given > 50
    assert reader.frames_decoded - before < given - 20


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM, g='12')
    opened = []
    av_open = av.open
    monkeypatch.setattr(
        av, 'open', lambda *args: opened.append(args) or av_open(*args))
    VideoReader(path).read([5, 50, 7])
    VideoReader(path, (.5, 1.)).read([5, 3])
    assert len(opened) == 2


CORNERS = dict(R=(255, 0, 0), G=(0, 255, 0), B=(0, 0, 255), W=(255,) * 3)


def corners(frame):
    """Names of the colours of the four quarters, row by row."""
    h, w = frame.shape[:2]
    points = [frame[y, x].astype(int) for y in (h // 4, 3 * h // 4)
              for x in (w // 4, 3 * w // 4)]
    return ''.join(min(CORNERS, key=lambda k: np.abs(CORNERS[k] - p).sum())
                   for p in points)


@pytest.mark.parametrize('degrees, mirrored, wanted', [
    (0, False, 'RGBW'), (90, False, 'GWRB'), (180, False, 'WBGR'),
    (-90, False, 'BRWG'), (0, True, 'GRWB'), (180, True, 'BWRG')])
def test_rotated_video_is_delivered_upright(tmp_path, degrees, mirrored,
                                            wanted):
    path = str(tmp_path / 'a.mp4')
    frame = np.zeros((64, 96, 3), np.uint8)
    for n, name in enumerate('RGBW'):
        frame[n // 2 * 32:, n % 2 * 48:] = CORNERS[name]
        frame[n // 2 * 32:, (n % 2 + 1) * 48:] = 0
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv444p'
        stream.set_display_rotation(degrees, hflip=mirrored)
        for _ in range(5):
            container.mux(stream.encode(
                av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())
    reader = VideoReader(path)
    shape = (96, 64) if abs(degrees) == 90 else (64, 96)
    rgb = reader.read([3])[3]
    assert reader.shape == rgb.shape[:2] == shape
    assert corners(rgb) == wanted
    grey = reader.read([3], 'grey')[3]
    assert grey.shape == shape
    bright = max(range(4), key=lambda n: grey[
        [shape[0] // 4, 3 * shape[0] // 4][n // 2],
        [shape[1] // 4, 3 * shape[1] // 4][n % 2]])
    assert bright == wanted.index('W')
    if not mirrored:  # OpenCV turns by itself, but does not mirror
        capture = cv2.VideoCapture(path)
        np.testing.assert_allclose(capture.read()[1][..., ::-1],
                                   reader.read([0])[0], atol=3)
        other = VideoReader(path, decoder='decord')
        assert other.shape == shape
        assert corners(other.read([3])[3]) == wanted


@pytest.mark.parametrize('size', [(33, 51), (1, 1), (17, 640)])
def test_odd_sizes(tmp_path, size):
    path = tmp_path / 'a.mp4'
    frames = [np.full((*size, 3), 60 + 9 * n, np.uint8) for n in range(4)]
    tiny_media.write_video(path, frames, pix_fmt='yuv444p')
    reader = VideoReader(str(path))
    _, wanted = in_sequence(path)
    assert reader.shape == size
    check(reader, wanted, [0, 3])
    assert reader.read([3], 'grey')[3].shape == size


def test_full_frames_do_not_pile_up(tmp_path):
    path = str(tmp_path / 'a.mp4')
    frame = np.zeros((2160, 3840, 3), np.uint8)
    tiny_media.write_video(path, [frame] * 20, preset='ultrafast')
    alive, most = [], []

    def view(frame):
        assert frame.shape == (2160, 3840, 3)
        alive.append(weakref.ref(frame))
        most.append(sum(ref() is not None for ref in alive))
        return frame[::10, ::10][:224, :224]

    found = VideoReader(path).read(range(20), view=view)
    assert len(most) == 20 and max(most) <= 2
    assert all(x.shape == (216, 224, 3) and x.base is None
               for x in found.values())


def test_read_gives_memory_of_its_own(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM[:8])
    reader = VideoReader(path)
    for view in (None, lambda x: x[3:9], lambda x: x[:, ::-1],
                 lambda x: cv2.resize(x, (5, 4))):
        found = reader.read([1, 2], view=view)
        assert all(frame.base is None for frame in found.values())


def test_bad_numbers_and_arguments(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM[:5])
    reader = VideoReader(path)
    assert reader.read([]) == {}
    for indices in ([5], [-1], [0, 99]):
        with pytest.raises(IndexError, match='from 0 to 4'):
            reader.read(indices)
    with pytest.raises(ValueError, match="got 'gray'"):
        reader.read([0], 'gray')
    with pytest.raises(ValueError, match="'decord', 'pyav'"):
        VideoReader(path, decoder='opencv')
