"""Frames of a video file by number through decord."""
import os
from collections.abc import Iterator

import numpy as np

from ..errors import MediaError
from .container import check_complete, only, open_media, picture_stream
from .table import FrameTable, entry, no_frames


class DecordFrames:
    """Frames of one video file, RGB only, by the host's default decoder.

    The packets are read through PyAV as well, for the time stamps (which
    decord rounds) and to refuse the files in which decord, once it has
    sought, gives wrong frames without a word. Decord turns rotated video
    upright by itself; it does not mirror.

    Args:
        path (str): A video file.
        segment (tuple, optional): As :class:`PyAVFrames` has it. The whole
            file is read nevertheless.

    Attributes:
        times, fps, shape, frames_decoded: As :class:`ClipReader` has them.

    Raises:
        MediaError: Decord cannot read this file exactly, it holds no frames
            or none in the segment, or is cut off.
        OSError, av.error.FFmpegError, decord.DECORDError, RuntimeError: It
            is missing or no video.
    """

    def __init__(
            self,
            path: str,
            segment: tuple[float, float | None] | None = None) -> None:
        import decord
        self._path = path
        self.frames_decoded = 0
        whole, fps = self._table()
        clip = FrameTable(whole.entries, whole.time_base, whole.stamps[0],
                          segment)
        if not clip.count:
            raise MediaError(path, no_frames(segment))
        with open(path, 'rb') as file:
            # Decord takes no name that is not UTF-8; of a file it reads all.
            self._reader = decord.VideoReader(
                os.path.abspath(path) if _is_utf8(path) else file,
                num_threads=1)
        if len(self._reader) != whole.count:
            raise self._refusal(f'finds {len(self._reader)} frames where '
                                f'there are {whole.count}')
        self.fps = fps
        self.times = clip.times(segment[0] if segment else 0., fps)
        self._first = whole.stamps.index(clip.stamps[0])
        self.shape = self._reader[self._first].shape[:2]

    def _table(self) -> tuple[FrameTable, float]:
        """The whole file's frames, and frames per second."""
        with open_media(self._path) as container:
            stream = picture_stream(container)
            if stream is None:
                raise MediaError(self._path, 'it holds no video stream')
            only(container, stream)
            entries = [entry(p) for p in container.demux(stream) if p.size]
            check_complete(self._path, stream, len(entries), None)
            table = FrameTable(entries, stream.time_base)
            rate = stream.average_rate
        if not table.count:
            raise MediaError(self._path, no_frames(None))
        if table.stamps is None:
            raise self._refusal('needs time stamps')
        if table.is_open():
            raise self._refusal('miscounts after a key frame that is stored '
                                'before frames shown earlier (an open GOP)')
        return table, float(rate) if rate else 0.

    def _refusal(self, why: str) -> MediaError:
        return MediaError(self._path,
                          f"decord {why}: use decoder='pyav' for this file")

    def frames(self, wanted: set[int],
               kind: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the wanted frames by number; see :class:`ClipReader`."""
        if kind != 'rgb':
            raise ValueError(
                "decoder='decord' gives RGB only, and grey levels made of it "
                "are rounded twice: use decoder='pyav' for flow")
        for index in sorted(wanted):
            self.frames_decoded += 1
            yield index, self._reader[self._first + index].asnumpy()


def _is_utf8(path: str) -> bool:
    """Whether a path, as Python holds it, is text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
