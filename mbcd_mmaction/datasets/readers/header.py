"""What an mp4's header tells without reading or decoding its frames."""
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

# Boxes that hold others, and where in them the display matrix stands, after
# the fields whose length depends on the version (ISO/IEC 14496-12).
_NESTED = (b'moov', b'trak', b'mdia', b'minf', b'stbl')
_MATRIX_AT = {b'mvhd': (36, 48), b'tkhd': (40, 52)}
_AS_IT_IS = (1 << 16, 0, 0, 0, 1 << 16, 0)  # a, b, u, c, d, v
_SEI, _SLICES = 6, (1, 2, 5)
_DISPLAY_ORIENTATION = 47


class Header(NamedTuple):
    """What is certain by the header; False is also where in doubt.

    Attributes:
        as_stored (bool): No matrix turns or mirrors the frames. (A message
            within the stream may, see :func:`h264_is_silent`.)
        in_order (bool): Frames are shown in the order in which they are
            stored, each when it is decoded, and all of them are listed.
    """
    as_stored: bool
    in_order: bool


def read_header(path: str) -> Header:
    """Read the header of an mp4, or of what may be none."""
    matrices, kinds = [], set()
    try:
        with open(path, 'rb') as file:
            for kind, matrix in _boxes(file, 0, file.seek(0, 2)):
                kinds.add(kind)
                if matrix is not None:
                    matrices.append(matrix)
    except (OSError, struct.error):
        return Header(False, False)
    whole = kinds.issuperset((b'mvhd', b'tkhd', b'stts'))
    return Header(
        whole and all(m[:6] == _AS_IT_IS and m[8] == 1 << 30
                      for m in matrices),
        # Offsets between decoding and showing; fragments with more frames.
        whole and not kinds.intersection((b'ctts', b'mvex', b'moof')))


def _boxes(file: BinaryIO, start: int,
           stop: int) -> Iterator[tuple[bytes, tuple[int, ...] | None]]:
    """Kind of each box from one place in a file to another, and a matrix."""
    while start + 8 <= stop:
        file.seek(start)
        size, kind = struct.unpack('>I4s', file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack('>Q', file.read(8))[0], 16
        elif size == 0:
            size = stop - start
        if size < head:
            raise struct.error('a box smaller than its own head')
        matrix = None
        if kind in _MATRIX_AT:
            version = file.read(1) == b'\x01'
            file.seek(start + head + _MATRIX_AT[kind][version])
            matrix = struct.unpack('>9i', file.read(36))
        yield kind, matrix
        if kind in _NESTED:
            yield from _boxes(file, start + head, min(start + size, stop))
        start += size


def h264_is_silent(extradata: bytes | None, packet: bytes) -> bool:
    """Whether an h264 frame carries no message that it is to be turned.

    Args:
        extradata (bytes, optional): The stream's, as mp4 stores it.
        packet (bytes): A key frame, as mp4 stores it.

    Returns:
        bool: False where it does, and where in doubt.
    """
    if not extradata or len(extradata) < 5 or extradata[0] != 1:
        return False
    width = (extradata[4] & 3) + 1
    start = 0
    while start + width < len(packet):
        size = int.from_bytes(packet[start:start + width], 'big')
        unit = packet[start + width:start + width + size]
        if not unit or len(unit) < size:
            return False
        kind = unit[0] & 31
        if kind in _SLICES:
            return True
        if kind == _SEI and not _sei_is_silent(unit[1:]):
            return False
        start += width + size
    return False


def _sei_is_silent(messages: bytes) -> bool:
    """Whether no message is about orientation, as far as can be told."""
    messages = messages.replace(b'\0\0\3', b'\0\0')
    place = 0
    while place < len(messages) and messages[place:] != b'\x80':
        numbers = []
        for _ in range(2):  # the kind of a message, then its length
            number = 0
            while place < len(messages) and messages[place] == 255:
                number += 255
                place += 1
            if place >= len(messages):
                return False
            numbers.append(number + messages[place])
            place += 1
        if numbers[0] == _DISPLAY_ORIENTATION:
            return False
        place += numbers[1]
    return place < len(messages)
