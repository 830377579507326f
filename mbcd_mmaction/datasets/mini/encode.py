"""Writing of frames and sound as files, the same bytes every time."""
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .recipe import SAMPLE_RATE

# The macroblock tree of x264 gives other bytes from run to run on pictures
# as small as ours.
_X264 = 'threads=1:mbtree=0'


def write_video(path: Path, frames: Sequence[np.ndarray], frame_rate: Fraction,
                quality: int) -> None:
    """Write an h264 mp4.

    Args:
        path (Path): File to write.
        frames (Sequence[np.ndarray]): (H, W, 3) RGB or (H, W) grey, uint8.
        frame_rate (Fraction): Frames per second.
        quality (int): Constant rate factor of x264; lower is better.
    """
    with av.open(str(path), 'w', options=dict(fflags='+bitexact')) as file:
        stream = file.add_stream(
            'libx264', rate=frame_rate,
            options=dict(crf=str(quality), preset='veryfast',
                         flags='+bitexact', **{'x264-params': _X264}))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        kind = 'rgb24' if frames[0].ndim == 3 else 'gray'
        for frame in frames:
            image = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format=kind)
            file.mux(stream.encode(image))
        file.mux(stream.encode(None))


def write_sound(path: Path, samples: np.ndarray) -> None:
    """Write a mono PCM wav of 16 bits.

    Args:
        path (Path): File to write.
        samples (np.ndarray): (N,) int16 at 16 kHz.
    """
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype('<i2').tobytes())
