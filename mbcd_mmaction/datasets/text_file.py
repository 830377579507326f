"""Text that people write: UTF-8, or an error that says where it is not."""
import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_PIECE = 2**20


def read_text(path: str) -> str:
    """Read a whole file of UTF-8 text, with or without a mark at its start.

    Args:
        path (str): The file.

    Returns:
        str: Its text, line ends as they are.

    Raises:
        ValueError: It is no UTF-8; the byte, its position and its line are
            named.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return content.decode('utf-8').removeprefix('\ufeff')
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b'\n') + 1
        raise ValueError(
            f'{path}, line {line}: expected UTF-8, got the byte '
            f'0x{content[error.start]:02x} at position {error.start}. Save '
            'the file as UTF-8 (in a spreadsheet: "CSV UTF-8"), and rename '
            'media whose names are in another encoding') from error


@contextmanager
def open_text(path: str, newline: str = '') -> Iterator[TextIO]:
    """Open UTF-8 text that may be too long to hold, as :func:`read_text`.

    Args:
        path (str): The file. All of it is looked through beforehand.
        newline (str): As of ``open``: '' leaves line ends as they are, and
            '\\n' does not take a lone '\\r' for one. Defaults to ''.

    Raises:
        ValueError: It is no UTF-8, see :func:`read_text`.
    """
    decoder = codecs.getincrementaldecoder('utf-8')()
    try:
        with open(path, 'rb') as file:
            while piece := file.read(_PIECE):
                decoder.decode(piece)
            decoder.decode(b'', final=True)
    except UnicodeDecodeError:
        read_text(path)  # raises what people can use
        raise
    with open(path, encoding='utf-8-sig', newline=newline) as file:
        yield file
