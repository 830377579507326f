"""Writing of frames and sound as files, the same bytes every time."""
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

# The macroblock tree of x264 gives other bytes from run to run on pictures
# as small as ours.
_X264 = 'threads=1:mbtree=0'
_TIME_BASE = Fraction(1, 90000)


class VideoWriter:
    """Write an h264 mp4 frame by frame; a context manager.

    Grey frames are kept as the luma of yuv420p, which every decoder knows:
    x264's own grey format comes back with 128 as 130. Frames are written at
    a constant rate, or each at the time that it is given.

    Args:
        path (str | Path): File to write; its name need not end in .mp4.
        frame_rate (Fraction): Frames per second; with times, about.
        quality (int): Constant rate factor of x264; lower is better.
        key_interval (int, optional): Most frames from one key frame to the
            next, without frames that lean on later ones: quick to enter
            anywhere. Defaults to None: x264's choice.
        timed (bool): Whether :meth:`write` is given times. Defaults to
            False.
    """

    def __init__(self,
                 path: str | Path,
                 frame_rate: Fraction,
                 quality: int,
                 key_interval: int | None = None,
                 timed: bool = False) -> None:
        self._file = av.open(
            str(path), 'w', format='mp4', options=dict(fflags='+bitexact'))
        params = _X264
        if key_interval is not None:
            params += f':keyint={key_interval}:bframes=0'
        self._stream = self._file.add_stream(
            'libx264', rate=frame_rate,
            options=dict(crf=str(quality), preset='veryfast',
                         flags='+bitexact', **{'x264-params': params}))
        self._stream.pix_fmt = 'yuv420p'
        self._stream.codec_context.thread_count = 1
        if timed:
            self._stream.time_base = _TIME_BASE
            self._stream.codec_context.time_base = _TIME_BASE
        self._timed = timed
        self._sized = False

    def write(self, frame: np.ndarray, time: float | None = None) -> None:
        """Append one frame.

        Args:
            frame (np.ndarray): (H, W, 3) RGB or (H, W) grey, uint8, of even
                sizes and all of one size.
            time (float, optional): Seconds at which it is shown, rising;
                given for all frames (``timed``) or for none.
        """
        if not self._sized:
            self._stream.height, self._stream.width = frame.shape[:2]
            self._sized = True
        image = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame),
            format='rgb24' if frame.ndim == 3 else 'gray')
        if self._timed:
            image.pts = round(time / _TIME_BASE)
            image.time_base = _TIME_BASE
        self._file.mux(self._stream.encode(image))

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._file.mux(self._stream.encode(None))
        finally:
            self._file.close()


def write_video(path: str | Path, frames: Sequence[np.ndarray],
                frame_rate: Fraction, quality: int) -> None:
    """Write an h264 mp4 of a constant rate.

    Args:
        path (str | Path): File to write.
        frames (Sequence[np.ndarray]): (H, W, 3) RGB or (H, W) grey, uint8.
        frame_rate (Fraction): Frames per second.
        quality (int): Constant rate factor of x264; lower is better.
    """
    with VideoWriter(path, frame_rate, quality) as writer:
        for frame in frames:
            writer.write(frame)


class SoundWriter:
    """Write a mono PCM wav of 16 bits piece by piece; a context manager.

    Args:
        path (str | Path): File to write.
        sample_rate (int): Hz. Defaults to 16000.
    """

    def __init__(self, path: str | Path, sample_rate: int = 16000) -> None:
        # Opened here: wave tells a failure to open twice, once from __del__.
        self._raw = open(path, 'wb')
        self._file = wave.open(self._raw, 'wb')
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(sample_rate)

    def write(self, samples: np.ndarray) -> None:
        """Append samples, (N,) int16, or float in [-1, 1] to be rounded."""
        if samples.dtype.kind == 'f':
            samples = np.clip(np.rint(samples * 32768), -32768, 32767)
        self._file.writeframes(samples.astype('<i2').tobytes())

    def __enter__(self) -> 'SoundWriter':
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        finally:
            self._raw.close()


def write_sound(path: str | Path, samples: np.ndarray) -> None:
    """Write a mono PCM wav of 16 bits and 16 kHz.

    Args:
        path (str | Path): File to write.
        samples (np.ndarray): (N,) int16.
    """
    with SoundWriter(path) as writer:
        writer.write(samples)
