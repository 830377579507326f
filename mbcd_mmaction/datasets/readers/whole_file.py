"""The frames of a whole video file, by its header where that is enough."""
import os
from collections.abc import Iterator

import av

from .container import check_complete
from .header import Header, h264_is_silent, read_header
from .table import Entry, entry


def entries_of_all(path: str, stream: av.video.stream.VideoStream,
                   packets: Iterator[av.Packet]) -> tuple[list[Entry], bool]:
    """Entries of all packets, and whether frames are surely upright.

    What an mp4 of h264 says in its header need not be found out by reading
    all packets and decoding a key frame, which of a large one takes as long
    as ten other frames.

    Args:
        path (str): The file.
        stream (av.video.stream.VideoStream): Its video.
        packets (Iterator[av.Packet]): The stream's, from its start; as many
            are taken as are needed.

    Raises:
        MediaError: The file is cut off.
    """
    header = Header(False, False)
    context = stream.codec_context
    if 'mov' in stream.container.format.name and context.name == 'h264':
        header = read_header(path)
    first = next(packets, None)
    entries = _listed(path, stream, header, first)
    if entries is None:
        entries = [] if first is None else [entry(first)]
        entries.extend(map(entry, packets))
        check_complete(path, stream, len(entries), None)
    # The size is certain too: the parser has read it from the stream.
    return entries, (
        first is not None and first.is_keyframe and header.as_stored
        and context.height > 0 < context.width
        and h264_is_silent(context.extradata, bytes(first)))


def _listed(path: str, stream: av.video.stream.VideoStream, header: Header,
            first: av.Packet | None) -> list[Entry] | None:
    """Entries by the header's list; None where it is not enough."""
    if not header.in_order or first is None or (
            stream.codec_context.has_b_frames):
        return None
    listed, end = [], 0
    for item in stream.index_entries:
        listed.append(Entry(item.timestamp, item.timestamp,
                            item.is_keyframe, not item.is_discard))
        end = max(end, item.pos + item.size)
    # Of a file that is cut off, all packets are read, to say how many.
    whole = listed and end <= os.path.getsize(path)
    return listed if whole and listed[0] == entry(first) else None
