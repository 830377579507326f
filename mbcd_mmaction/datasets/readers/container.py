"""Opening of media files through PyAV, and the time at which they begin."""
import os
from collections.abc import Iterable
from fractions import Fraction

import av

from ..errors import MediaError

# Containers in which a packet has the same time stamps after a seek as
# before it. Others (MPEG programme streams) are read from their start.
_SEEKABLE = frozenset([
    'avi', 'matroska', 'mov', 'mp3', 'mp4', 'mpegts', 'ogg', 'webm'
])


def open_media(path: str) -> av.container.InputContainer:
    """Open a file; what its name holds is never taken for a protocol."""
    if ':' in path and os.path.exists(path):
        path = os.path.abspath(path)
    return av.open(path)


def is_seekable(container: av.container.InputContainer) -> bool:
    """Whether time stamps after a seek can be trusted."""
    return not _SEEKABLE.isdisjoint(container.format.name.split(','))


def picture_stream(
    container: av.container.InputContainer
) -> av.video.stream.VideoStream | None:
    """The first video stream that is no cover of a song; None without."""
    cover = av.stream.Disposition.attached_pic
    for stream in container.streams.video:
        if not stream.disposition & cover:
            return stream
    return None


def only(container: av.container.InputContainer,
         *streams: av.stream.Stream) -> None:
    """Read the packets of some streams and skip the others' bytes."""
    for stream in container.streams:
        stream.discard = (av.stream.Discard.default
                          if stream in streams else av.stream.Discard.all)


def first_shown(packets: Iterable[av.Packet]) -> int | None:
    """Time stamp of the first frame that can be shown.

    Args:
        packets (Iterable[av.Packet]): A video stream's packets from the
            start of the file; only the first few are taken.

    Returns:
        int | None: In units of the stream's time base; None without stamps
        or packets.
    """
    key, first = None, None
    for packet in packets:
        if packet.pts is None:
            if packet.size:
                return None
            continue
        if key is None and packet.is_keyframe:
            key = packet.pts
        # What leads the first key frame refers to pictures before the file.
        if key is None or packet.pts < key:
            continue
        if not packet.is_discard and (first is None or packet.pts < first):
            first = packet.pts
        if first == key or (first is not None and packet.dts is not None
                            and packet.dts >= first):
            return first
    return first


def start_of_video(container: av.container.InputContainer) -> Fraction | None:
    """When the first frame is shown, in seconds of the file's own clock.

    Returns:
        Fraction | None: None where the file holds no moving picture, or one
        without time stamps. The file must be at its start, and is not
        afterwards.
    """
    stream = picture_stream(container)
    if stream is None:
        return None
    first = first_shown(container.demux(stream))
    return None if first is None else first * stream.time_base


def check_complete(path: str, stream: av.stream.Stream, packets: int | None,
                   last: int | None) -> None:
    """Raise where a file ends before its own table of contents does.

    Args:
        path (str): The file, for the message.
        stream (av.stream.Stream): A stream that was read up to its end.
        packets (int, optional): Packets read, where all were.
        last (int, optional): Time stamp of decoding of the last of them.

    Raises:
        MediaError: The file is cut off.
    """
    expected = stream.frames if stream.type == 'video' else 0
    is_mp4 = 'mov' in stream.container.format.name
    if is_mp4:
        # After an edit list has been applied; ``frames`` is before it.
        expected = len(stream.index_entries)
    if packets is not None and packets < expected:
        raise MediaError(
            path, f'cut off: its header lists {expected} frames, it holds '
            f'{packets}')
    if packets is None and is_mp4 and expected and last is not None:
        listed = stream.index_entries[expected - 1].timestamp
        if last < listed:
            listed, last = (float(x * stream.time_base)
                            for x in (listed, last))
            raise MediaError(
                path, f'cut off: its header lists frames up to {listed:.2f} '
                f's, it holds them up to {last:.2f} s')
