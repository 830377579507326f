import numpy as np
import pytest
import tiny_media
from tiny_films import CASES, FILM, check, film, in_sequence, write_case

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import VideoReader

SEGMENTS = [(0., .5), (.2, .21), (1 / 30, 4 / 30), (.1, .4), (.99, 1.51),
            (1.3, None), (1.9, 50.), (-1., .1), (.55, float('inf'))]


@pytest.mark.parametrize('name, codec, options', [
    case for case in CASES if case[0] not in ('a.h264', )],
    ids=[case[0] for case in CASES if case[0] not in ('a.h264', )])
def test_a_segment_equals_the_same_part_of_the_whole(tmp_path, name, codec,
                                                     options):
    path = tmp_path / name
    write_case(path, codec, options)
    _, wanted = in_sequence(path)
    whole = VideoReader(str(path))
    for start, stop in SEGMENTS:
        part = VideoReader(str(path), (start, stop))
        end = np.inf if stop is None else stop
        inside = np.flatnonzero((whole.times >= start - 1e-6)
                                & (whole.times < end - 1e-6))
        assert part.num_frames == len(inside) > 0, (start, stop)
        np.testing.assert_allclose(part.times, whole.times[inside] - start,
                                   atol=1e-9)
        check(part, wanted[inside[0]:], range(part.num_frames))


def test_segments_without_frames(tmp_path):
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, FILM)
    for segment, text in (((2., 3.), r'no frame from 2.00 s to 3.00 s'),
                          ((2., None), 'no frame from 2.00 s to its end'),
                          ((500., None), 'no frame'),
                          ((.01, .02), 'no frame'),
                          ((1., 1.), 'stop is after its start'),
                          ((1., .5), 'stop is after its start'),
                          ((float('nan'), 1.), 'stop is after its start'),
                          ((0., float('nan')), 'stop is after its start')):
        with pytest.raises(MediaError, match=text):
            VideoReader(path, segment)
    raw = str(tmp_path / 'a.h264')
    tiny_media.write_video(raw, FILM)
    with pytest.raises(MediaError, match='no time stamps'):
        VideoReader(raw, (0., 1.))


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'avi', 'ts'])
def test_of_a_long_video_only_the_segment_is_read(tmp_path, suffix):
    path = tmp_path / f'long.{suffix}'
    frames = film(16) * 150  # 80 s
    codec = 'mpeg4' if suffix == 'avi' else 'libx264'
    tiny_media.write_video(path, frames, codec, g='15', bf='2')
    size = path.stat().st_size
    reader = VideoReader(str(path), (60., 61.))
    assert reader.num_frames == 30
    _, wanted = in_sequence(path)
    check(reader, wanted[1800:], [0, 29, 12])
    # A second, the key frame before it, the start of the file; twice.
    assert reader.media.packets_read < 200
    assert reader.media.bytes_read < size / 10
    assert reader.media.packets_decoded < 60
