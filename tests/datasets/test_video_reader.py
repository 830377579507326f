from fractions import Fraction

import av
import numpy as np
import pytest
import tiny_media

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.transforms import VideoReader


def noise(count):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 255, (32, 64), dtype=np.uint8)
            for _ in range(count)]


def grey(frame):
    return frame.to_ndarray(format='gray')


def in_sequence(path):
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        return [grey(frame) for frame in container.decode(video=0)]


@pytest.mark.parametrize('name, codec, options', [
    ('a.mp4', 'libx264', dict(g='12', bf='3')),
    ('a.mp4', 'libx264', dict(g='12', bf='3', flags='-cgop')),
    ('a.mp4', 'libx264', dict(g='1')),
    ('a.mp4', 'libx264', dict(bf='0')),
    ('a.mp4', 'mpeg4', dict(g='10', bf='2')),
    ('a.mkv', 'libx264', dict(g='12', bf='3')),
    ('a.avi', 'mpeg4', dict(g='10', bf='0')),
    ('a.avi', 'mpeg4', dict(g='10', bf='2')),
])
def test_any_frames_equal_a_whole_decode(tmp_path, name, codec, options):
    path = tmp_path / name
    tiny_media.write_video(path, noise(50), codec, **options)
    wanted = in_sequence(path)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted)
    rng = np.random.default_rng(2)
    cases = [[0], [len(wanted) - 1], [23, 24, 25], [40, 3, 3, 40]]
    cases += [rng.integers(0, len(wanted), 4) for _ in range(6)]
    for indices in cases:
        found = reader.read(indices, grey)
        assert set(found) == {int(n) for n in indices}
        for index, frame in found.items():
            np.testing.assert_array_equal(frame, wanted[index])


def test_variable_frame_rate(tmp_path):
    path = tmp_path / 'vfr.mp4'
    frames = noise(30)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30,
                                      options=dict(g='6', bf='2'))
        stream.width, stream.height, stream.pix_fmt = 64, 32, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(frame, format='gray')
            frame.pts = number * 20 + (number % 3) * 7
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    wanted = in_sequence(path)
    reader = VideoReader(str(path))
    assert reader.num_frames == len(wanted) == 30
    for index in (29, 0, 13, 28):
        np.testing.assert_array_equal(
            reader.read([index], grey)[index], wanted[index])


def test_only_what_is_needed_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, noise(60), g='10', bf='0', sc_threshold='0')
    decoded = []
    from_key_frame = VideoReader._from_key_frame

    def counted(self, first):
        for item in from_key_frame(self, first):
            decoded.append(item[0])
            yield item

    monkeypatch.setattr(VideoReader, '_from_key_frame', counted)
    converted = []
    VideoReader(str(path)).read([33, 35, 33], lambda f: converted.append(f))
    assert decoded == [30, 31, 32, 33, 34, 35]
    assert len(converted) == 2


def test_bad_numbers(tmp_path):
    tiny_media.write_video(tmp_path / 'a.mp4', noise(5))
    reader = VideoReader(str(tmp_path / 'a.mp4'))
    assert reader.read([], grey) == {}
    for indices in ([5], [-1], [0, 99]):
        with pytest.raises(IndexError, match='from 0 to 4'):
            reader.read(indices, grey)


def test_bad_files(tmp_path):
    path = tmp_path / 'a.mp4'
    with pytest.raises(FileNotFoundError):
        VideoReader(str(path))
    path.touch()
    with pytest.raises(av.error.FFmpegError):
        VideoReader(str(path))
    for faststart, error in ((False, av.error.FFmpegError),
                             (True, (MediaError, av.error.FFmpegError))):
        tiny_media.write_video(path, noise(40), faststart=faststart)
        path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
        with pytest.raises(error):
            VideoReader(str(path)).read([39], grey)
    with av.open(str(path), 'w') as container:  # sound without a picture
        stream = container.add_stream('aac', rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match='no video stream'):
        VideoReader(str(path))
