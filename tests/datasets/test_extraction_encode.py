"""The one encoder: what it writes comes back."""
from fractions import Fraction

import av
import numpy as np
import own_videos
import pytest
import soundfile

from mbcd_mmaction.datasets.extraction.encode import (
    SoundWriter,
    VideoWriter,
    write_video,
)
from mbcd_mmaction.datasets.readers import VideoReader


def plain(path, frames, rate, quality):
    """A constant rate by PyAV alone, as the mini set has always been."""
    with av.open(str(path), 'w', options=dict(fflags='+bitexact')) as file:
        stream = file.add_stream(
            'libx264', rate=rate,
            options={'crf': str(quality), 'preset': 'veryfast',
                     'flags': '+bitexact',
                     'x264-params': 'threads=1:mbtree=0'})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        for frame in frames:
            kind = 'rgb24' if frame.ndim == 3 else 'gray'
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, kind)))
        file.mux(stream.encode(None))


@pytest.mark.parametrize('colour', [False, True])
def test_the_bytes_of_the_mini_set(tmp_path, colour):
    frames = own_videos.moving(9, 1)
    if colour:
        frames = [np.stack([f, f // 2, 255 - f], -1) for f in frames]
    plain(tmp_path / 'a.mp4', frames, Fraction(30), 26)
    write_video(tmp_path / 'b', frames, Fraction(30), 26)
    assert (tmp_path / 'a.mp4').read_bytes() == (tmp_path / 'b').read_bytes()


@pytest.mark.parametrize('level', [0, 1, 127, 128, 129, 254, 255])
def test_grey_levels_come_back(tmp_path, level):
    frames = [np.full((64, 64), level, np.uint8)] * 5
    write_video(tmp_path / 'a.mp4', frames, Fraction(25), 18)
    found = VideoReader(str(tmp_path / 'a.mp4')).read(range(5), kind='grey')
    tolerance = 0 if level == 128 else 1
    for frame in found.values():
        assert np.abs(frame.astype(int) - level).max() <= tolerance


def test_key_frames_are_never_far(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', Fraction(25), 18, 16) as writer:
        for frame in own_videos.moving(50, 1):
            writer.write(frame)
    with av.open(str(tmp_path / 'a.mp4')) as file:
        keys = [i for i, packet in enumerate(file.demux(video=0))
                if packet.size and packet.is_keyframe]
        assert not file.streams.video[0].codec_context.has_b_frames
    assert keys == [0, 16, 32, 48]


def test_sound_in_pieces(tmp_path):
    wave = np.array([-1.5, -1, -.5, 0, .25, .5, 1, 1.5])
    with SoundWriter(tmp_path / 'a.wav') as writer:
        writer.write(wave[:3].astype(np.float32))
        writer.write(wave[3:])
        writer.write(np.array([-7, 7], np.int16))
    found, rate = soundfile.read(tmp_path / 'a.wav', dtype='int16')
    assert rate == 16000
    assert found.tolist() == [-32768, -32768, -16384, 0, 8192, 16384, 32767,
                              32767, -7, 7]
