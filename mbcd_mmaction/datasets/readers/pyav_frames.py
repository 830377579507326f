"""Frames of a video file by number through PyAV, decoding few of them."""
from collections.abc import Container, Iterator

import av
import numpy as np

from ..errors import MediaError
from .container import (
    check_complete,
    first_shown,
    is_seekable,
    only,
    open_media,
    picture_stream,
)
from .convert import Converter, display_matrix, upright
from .table import Entry, FrameTable, bounds, entry, no_frames
from .whole_file import entries_of_all

# Codecs in which a frame that is marked as no reference is one for nobody.
# (In HEVC a higher temporal layer may still refer to it.)
_SKIPPABLE = frozenset(['h264', 'mpeg1video', 'mpeg2video', 'mpeg4'])


class PyAVFrames:
    """Exact random access to the frames of one video file.

    Frames are numbered by their time stamps, found by reading the packets
    without decoding them, or in an mp4 without B frames by its list of
    them: right for variable frame rates and for files whose header misstates
    the rate. Of a segment only the packets from the
    key frame in front of it are read. One decoding thread: loader workers
    are the parallelism, and PyAV's frame threads may hang on early exit.

    Args:
        path (str): A video file.
        segment (tuple, optional): Start and stop (None for the end) in
            seconds since the file's first frame. Defaults to None: all.

    Attributes:
        times, fps, shape: As :class:`ClipReader` has them.
        packets_read (int): Video packets read so far.
        bytes_read (int): Their size.
        packets_decoded (int): Packets given to the decoder so far.
        frames_decoded (int): Frames that came out of it.

    Raises:
        FileNotFoundError: There is no such file.
        av.error.FFmpegError: It is not a media file.
        MediaError: It holds no video, no frames, none in the segment, or
            is cut off.
    """

    def __init__(
            self,
            path: str,
            segment: tuple[float, float | None] | None = None) -> None:
        self._path = path
        self.packets_read = self.bytes_read = 0
        self.packets_decoded = self.frames_decoded = 0
        self._open()
        rate = self._stream.average_rate
        self.fps = float(rate) if rate else 0.0
        upright = False
        if segment is None:
            entries, upright = entries_of_all(path, self._stream,
                                              self._packets())
            self._table = FrameTable(entries, self._stream.time_base)
        else:
            self._table = self._scan(segment)
        if not self._table.count:
            raise MediaError(path, no_frames(segment))
        self.times = self._table.times(segment[0] if segment else 0.,
                                       self.fps)
        self._matrix = None
        self.shape = (self._context.height, self._context.width)
        if not upright:
            self._look()

    def _open(self) -> None:
        self._container = open_media(self._path)
        self._stream = picture_stream(self._container)
        if self._stream is None:
            raise MediaError(self._path, 'it holds no video stream')
        only(self._container, self._stream)
        self._context = self._stream.codec_context
        self._context.thread_count = 1
        self._skip = 'DEFAULT'
        if self._context.name in _SKIPPABLE:
            self._skip = 'NONREF'

    def _packets(self) -> Iterator[av.Packet]:
        """Packets from where the file stands; the end sends none."""
        for packet in self._container.demux(self._stream):
            if packet.size:
                self.packets_read += 1
                self.bytes_read += packet.size
                yield packet

    # The table of a segment

    def _scan(self, segment: tuple[float, float | None]) -> FrameTable:
        """Read the packets of a segment, and those that it rests on."""
        unit = self._stream.time_base
        origin = first_shown(self._packets())
        if origin is None:
            raise MediaError(
                self._path, 'its frames have no time stamps, by which a '
                'segment could be found: cut the file instead')
        low, high = bounds(segment, unit, origin)
        second = max(int(1 / unit), 1)
        back = 0
        while is_seekable(self._container) and low - back > origin:
            entries = self._entries_from(low - back, high)
            if any(e.key and e.pts <= low for e in entries):
                break
            back = 2 * back + second
        else:
            self._open()
            entries = self._entries(high)
        return FrameTable(entries, unit, origin, segment)

    def _entries_from(self, stamp: int, stop: int | None) -> list[Entry]:
        """Entries from the key frame before a time stamp; [] if none."""
        try:
            self._container.seek(stamp, stream=self._stream)
        except av.error.FFmpegError:
            return []
        return self._entries(stop)

    def _entries(self, stop: int | None) -> list[Entry]:
        """Entries up to the first that is decoded at ``stop`` or later."""
        entries = []
        for packet in self._packets():
            if None not in (stop, packet.dts) and packet.dts >= stop:
                break
            if packet.pts is not None:
                entries.append(entry(packet))
        else:
            last = max((e.dts for e in entries if e.dts is not None),
                       default=None)
            check_complete(self._path, self._stream, None, last)
        return entries

    # Decoding

    def _look(self) -> None:
        """Decode a key frame, for its size and its orientation."""
        shape = self.shape
        first = self._table.first_key
        stamp = self._table.entries[first].pts
        for frame in self._decode_run(first, first, {stamp}):
            shape = (frame.height, frame.width)
            self._matrix = display_matrix(frame)
        blank = np.broadcast_to(np.uint8(0), shape)
        self.shape = upright(blank, self._matrix).shape

    def frames(self, wanted: set[int],
               kind: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the wanted frames by number; see :class:`ClipReader`."""
        convert = Converter(kind, self._matrix)
        missing = set(wanted)
        for index, frame in self._decode(wanted):
            if index in missing:
                missing.remove(index)
                yield index, convert(frame)
            if not missing:
                return
        raise MediaError(
            self._path, f'frames {sorted(missing)} of '
            f'{self._table.count} cannot be decoded')

    def _decode(self,
                wanted: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Numbered frames, the wanted ones among them if at all possible."""
        stamps = self._table.stamps
        if stamps is None:
            self._open()
            yield from enumerate(self._decode_all())
            return
        number = {stamps[index]: index for index in wanted}
        for first, last in self._table.runs(wanted):
            for frame in self._decode_run(first, last, number):
                if not frame.is_corrupt and frame.pts in number:
                    yield number[frame.pts], frame
        # A stream that is refreshed bit by bit has frames marked as keys
        # that are none: what is missing needs all before it.
        self._open()
        for frame in self._decode_all():
            if frame.pts in number:
                yield number[frame.pts], frame

    def _decode_run(self, first: int, last: int,
                    stamps: Container[int | None]) -> Iterator[av.VideoFrame]:
        """Decode a stretch of packets, skipping what nobody needs."""
        end = self._table.entries[last].pts
        for packet in self._packets_from(self._table.entries[first]):
            self._context.skip_frame = ('DEFAULT' if packet.pts in stamps else
                                        self._skip)
            yield from self._send(packet)
            if packet.pts == end:
                break
        # The decoder holds frames back until told that no more will come.
        yield from self._send(None)

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        """Every frame from where the file stands."""
        self._context.skip_frame = 'DEFAULT'
        for packet in self._packets():
            yield from self._send(packet)
        yield from self._send(None)

    def _send(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        self.packets_decoded += packet is not None
        for frame in self._context.decode(packet):
            self.frames_decoded += 1
            yield frame

    def _packets_from(self, first: Entry) -> Iterator[av.Packet]:
        """Packets from a certain one on, found by seeking or by reading."""
        for seeking in (True, False):
            if not seeking:
                self._open()
            elif not self._seek(first):
                continue
            begun = False
            for packet in self._packets():
                begun = begun or packet.pts == first.pts
                if begun:
                    yield packet
                elif None not in (packet.dts, first.dts
                                  ) and packet.dts > first.dts:
                    break  # the container sought too far
            if begun:
                return

    def _seek(self, target: Entry) -> bool:
        """Go to a packet or one before it; False where that is no use."""
        if target.pts is None or not is_seekable(self._container):
            return False
        # Containers seek by the time of decoding, if they store it.
        stamp = target.pts if target.dts is None else target.dts
        try:
            self._container.seek(stamp, stream=self._stream)
        except av.error.FFmpegError:
            return False
        return True
