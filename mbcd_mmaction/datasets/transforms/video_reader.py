"""Frames of a video file by number, decoding no more than is needed."""
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import av
import numpy as np

from ..errors import MediaError


class VideoReader:
    """Exact random access to the frames of one video file through PyAV.

    Frames are numbered by their time stamps, found by reading the packets
    without decoding them: right for variable frame rates and for files
    whose header misstates the rate. One decoding thread: loader workers
    are the parallelism, and PyAV's frame threads may hang on early exit.

    Args:
        path (str): A video file.

    Attributes:
        num_frames (int): Number of frames.
        avg_fps (float): Frames per second, 0 if the file does not say.

    Raises:
        FileNotFoundError: There is no such file.
        av.error.FFmpegError: It is not a media file.
        MediaError: It holds no video, no frames, or is cut off.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()
        rate = self._stream.average_rate
        self.avg_fps = float(rate) if rate else 0.0
        packets = [
            packet for packet in self._container.demux(self._stream)
            if packet.size
        ]
        if len(packets) < self._stream.frames:
            raise MediaError(
                path, f'cut off: its header lists {self._stream.frames} '
                f'frames, it holds {len(packets)}')
        shown = [packet for packet in packets if not packet.is_discard]
        if not shown:
            raise MediaError(path, 'its video stream holds no frames')
        self.num_frames = len(shown)
        times = {packet.pts for packet in shown}
        self._times = None
        self._key_frames: list[tuple[int, int]] = []
        if None not in times and len(times) == len(shown):
            self._times = sorted(times)
            self._key_frames = sorted(
                (packet.pts, packet.dts) for packet in packets
                if packet.is_keyframe and packet.pts is not None
                and packet.dts is not None)

    def _open(self) -> None:
        self._container = av.open(self.path)
        if not self._container.streams.video:
            raise MediaError(self.path, 'it holds no video stream')
        self._stream = self._container.streams.video[0]
        self._stream.thread_count = 1

    def read(
        self, frame_inds: Sequence[int],
        convert: Callable[[av.VideoFrame],
                          np.ndarray]) -> dict[int, np.ndarray]:
        """Decode frames.

        Args:
            frame_inds (Sequence[int]): Frame numbers from 0, in any order,
                repeats allowed.
            convert (Callable): Makes an array of a decoded frame; called
                once per distinct frame.

        Returns:
            dict[int, np.ndarray]: The converted frames by their number.

        Raises:
            IndexError: A number outside [0, num_frames).
            MediaError: A frame cannot be decoded.
        """
        wanted = {int(index) for index in frame_inds}
        if not wanted:
            return {}
        if min(wanted) < 0 or max(wanted) >= self.num_frames:
            raise IndexError(
                f'{self.path}: expected frame numbers from 0 to '
                f'{self.num_frames - 1}, got {min(wanted)} to {max(wanted)}')
        found = {}
        if self._key_frames:
            found = self._collect(self._from_key_frame(min(wanted)), wanted,
                                  convert)
        if len(found) < len(wanted):
            # No time stamps, or a container in which seeking misses.
            found = self._collect(self._from_start(), wanted, convert)
        if len(found) < len(wanted):
            raise MediaError(
                self.path, f'frames {sorted(wanted - set(found))} '
                f'of {self.num_frames} cannot be decoded')
        return found

    @staticmethod
    def _collect(
        numbered: Iterator[tuple[int, av.VideoFrame]], wanted: set[int],
        convert: Callable[[av.VideoFrame],
                          np.ndarray]) -> dict[int, np.ndarray]:
        """Convert the wanted frames; stop at the last of them."""
        found = {}
        for index, frame in numbered:
            if index in wanted and index not in found:
                found[index] = convert(frame)
                if len(found) == len(wanted):
                    break
        return found

    def _from_key_frame(self,
                        first: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Numbered frames from the last key frame not after ``first``."""
        number = {time: index for index, time in enumerate(self._times)}
        before = [
            key for key in self._key_frames if key[0] <= self._times[first]
        ]
        # Containers seek by decoding time, which is before the time shown.
        _, dts = before[-1] if before else self._key_frames[0]
        self._container.seek(dts, stream=self._stream)
        for frame in self._container.decode(self._stream):
            yield number.get(frame.pts, -1), frame

    def _from_start(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames numbered in the order in which they are decoded."""
        self._open()
        yield from zip(
            count(), self._container.decode(self._stream), strict=False)


_EXPANDED = np.clip(
    np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG


def luma(frame: av.VideoFrame) -> np.ndarray:
    """Grey levels of a decoded frame.

    The usual encoders squeeze grey levels 0-255 into luma 16-235 and mark
    nothing; only a stream marked as full range, or one of grey frames, holds
    the levels as they are. Reading the luma plane rounds once, where a
    conversion to RGB and back rounds twice and shifts the mean.

    Args:
        frame (av.VideoFrame): A frame of any pixel format.

    Returns:
        np.ndarray: (H, W) uint8; 128 was 128 when it was written.
    """
    name = frame.format.name
    if name not in _PLANAR:
        red, green, blue = np.moveaxis(
            frame.to_ndarray(format='rgb24').astype(np.float32), -1, 0)
        grey = .299 * red + .587 * green + .114 * blue
        return np.rint(grey).astype(np.uint8)
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    grey = rows[:frame.height, :frame.width]
    marked_full = name.startswith('yuvj') or frame.color_range == _FULL_RANGE
    marked_limited = frame.color_range == 1
    if marked_full or (name == 'gray' and not marked_limited):
        return grey.copy()
    return _EXPANDED[grey]


_PLANAR = frozenset([
    'gray', 'nv12', 'nv21', 'yuv420p', 'yuv422p', 'yuv440p', 'yuv444p',
    'yuvj420p', 'yuvj422p', 'yuvj440p', 'yuvj444p'
])
