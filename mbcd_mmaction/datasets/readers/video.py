"""Frames of a video file, or of a part of it."""
from collections.abc import Iterator

import numpy as np

from ..errors import MediaError
from .base import ClipReader
from .decord_frames import DecordFrames
from .pyav_frames import PyAVFrames

DECODERS = dict(pyav=PyAVFrames, decord=DecordFrames)


class VideoReader(ClipReader):
    """Exact random access to the frames of a video file.

    Frames are given as a player shows them: turned where the file says so.

    Args:
        path (str): A video file.
        segment (tuple, optional): Start and stop (None: the end) in seconds
            since the file's first frame: frames shown in start <= t < stop
            are the clip. Defaults to None: the whole file.
        decoder (str): 'pyav' reads least and can do all; 'decord' is the
            host's default, for RGB only. Defaults to 'pyav'.

    Attributes:
        See :class:`ClipReader`; ``media`` is what decodes, with counts of
        what it has read.

    Raises:
        ValueError: Unknown decoder.
        FileNotFoundError: There is no such file.
        av.error.FFmpegError, decord.DECORDError: It is not a media file.
        MediaError: It holds no video or is cut off; the segment is empty
            or beyond its end.
    """

    def __init__(self,
                 path: str,
                 segment: tuple[float, float | None] | None = None,
                 decoder: str = 'pyav') -> None:
        if decoder not in DECODERS:
            raise ValueError(f'decoder: expected one of {sorted(DECODERS)}, '
                             f'got {decoder!r}')
        self.path = path
        self.media = DECODERS[decoder](path, checked_segment(path, segment))
        self.fps = self.media.fps
        self.times = self.media.times
        self.num_frames = len(self.times)
        self.shape = self.media.shape

    @property
    def frames_decoded(self) -> int:
        """Frames that came out of the decoder so far."""
        return self.media.frames_decoded

    def _frames(self, wanted: set[int],
                kind: str) -> Iterator[tuple[int, np.ndarray]]:
        return self.media.frames(wanted, kind)


def checked_segment(
    path: str, segment: tuple[float, float | None] | None
) -> tuple[float, float | None] | None:
    """The segment with floats, its stop None for the end.

    Raises:
        MediaError: It can hold nothing.
    """
    if segment is None:
        return None
    start, stop = segment
    if not np.isfinite(start) or not (stop is None or stop > start):
        raise MediaError(
            path, 'expected a segment whose stop is after its start, got '
            f'{start} s to {stop} s')
    endless = stop is None or np.isinf(stop)
    return float(start), None if endless else float(stop)
