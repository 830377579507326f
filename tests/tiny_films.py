"""Short films in many codecs, and what is compared with them."""
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import tiny_media


def film(count, size=(48, 64), seed=1):
    """Moving noise: it has B frames, and no two frames are equal."""
    rng = np.random.default_rng(seed)
    h, w = size
    base = cv2.resize(
        rng.integers(0, 255, (h // 4, w // 2, 3), dtype=np.uint8),
        (2 * w, 2 * h))
    return [
        cv2.add(base[n % h:n % h + h, 2 * n % w:2 * n % w + w],
                rng.integers(0, 12, (h, w, 3), dtype=np.uint8))
        for n in range(count)
    ]


FILM = film(60)


def in_sequence(path):
    """Time stamps (s) and RGB frames of a plain decode of all."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        found = [(float(frame.pts * stream.time_base) if frame.pts else 0.,
                  frame.to_ndarray(format='rgb24').copy())
                 for frame in container.decode(stream)]
    return [time for time, _ in found], [frame for _, frame in found]


def check(reader, wanted, indices):
    """Frames of a reader are those of a plain decode."""
    found = reader.read(indices)
    assert set(found) == {int(n) for n in indices}
    for index, frame in found.items():
        np.testing.assert_array_equal(frame, wanted[index])


X264 = dict(
    closed=dict(g='12', bf='3'),
    pyramid={'g': '16', 'bf': '5',
             'x264-params': 'b-pyramid=normal:b-adapt=0:ref=4'},
    open={'g': '12', 'bf': '3',
          'x264-params': 'open-gop=1:b-adapt=0:b-pyramid=strict'},
    intra=dict(g='1'),
    no_b=dict(bf='0'),
    refresh={'g': '12', 'bf': '2', 'x264-params': 'intra-refresh=1'},
    interlaced={'g': '12', 'bf': '2', 'x264-params': 'tff=1'},
)
X265 = 'keyint=12:bframes=4:log-level=none'
CASES = [(f'{name}.mp4', 'libx264', X264[name]) for name in X264] + [
    ('a.mkv', 'libx264', X264['pyramid']),
    ('a.ts', 'libx264', X264['closed']),
    ('a.h264', 'libx264', X264['closed']),
    ('a.flv', 'libx264', X264['closed']),
    ('hevc.mp4', 'libx265', {'x265-params': X265}),
    ('hevc_open.mp4', 'libx265', {'x265-params': X265 + ':open-gop=1'}),
    ('hevc_layers.mp4', 'libx265',
     {'x265-params': X265 + ':temporal-layers=3'}),
    ('mpeg4.mp4', 'mpeg4', dict(g='10', bf='2')),
    ('no_b.avi', 'mpeg4', dict(g='10', bf='0')),
    ('b.avi', 'mpeg4', dict(g='10', bf='2')),
    ('a.mpg', 'mpeg2video', dict(g='10', bf='2')),
    ('mpeg2.mkv', 'mpeg2video', dict(g='10', bf='2')),
    ('vp8.webm', 'libvpx', {'g': '12', 'lag-in-frames': '8'}),
    ('vp9.webm', 'libvpx-vp9', {'g': '12', 'lag-in-frames': '8',
                                'cpu-used': '6'}),
    ('av1.mp4', 'libsvtav1', dict(g='12', preset='12')),
]


def write_case(path, codec, options):
    """Write FILM as a case says, or skip."""
    try:
        tiny_media.write_video(path, FILM, codec, **options)
    except (av.codec.codec.UnknownCodecError, av.error.FFmpegError) as error:
        pytest.skip(f'this build of FFmpeg cannot write {path}: {error}')


def write_at(path, frames, stamps, unit=Fraction(1, 1000), **options):
    """A video whose frames are shown at given times."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = unit
        for stamp, frame in zip(stamps, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
            frame.pts, frame.time_base = stamp, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut_half(path):
    """Lose the second half of a file."""
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
