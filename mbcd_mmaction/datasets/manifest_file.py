"""A person's own list of clips: CSV or JSON Lines."""
import csv
import functools
import json
import os
import re
from collections.abc import Iterator
from typing import Any, TextIO

from mmengine.logging import print_log

from .annotations import seconds
from .text_file import open_text

PATHS = ('video', 'flow_x', 'flow_y', 'audio')
TIMES = ('start', 'stop')
COLUMNS = (*PATHS, *TIMES, 'label', 'domain', 'split')
REQUIRED = ('video', 'label', 'domain')
_KNOWN = frozenset([*COLUMNS, ''])


def read_manifest(path: str,
                  data_root: str | None = None) -> list[dict[str, Any]]:
    """Read the rows of a manifest.

    A CSV file has a line of column names, in any order, separated by commas,
    semicolons or tabs; a JSON Lines file (``.jsonl``) an object a line.
    ``video``, ``label`` and ``domain`` are required, the rest of ``COLUMNS``
    is optional, and other columns are passed over.

    Args:
        path (str): The manifest.
        data_root (str, optional): Folder to which paths are relative.
            Defaults to None: the manifest's own.

    Returns:
        list[dict]: For each row all of ``COLUMNS``, None where it says
        nothing, and ``row``, its place for error texts: absolute paths,
        seconds as float, ``label`` as int or text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file, not UTF-8, no rows, a column is
            missing, or a value cannot be read; the row is named.
    """
    return list(iter_manifest(path, data_root))


def iter_manifest(path: str,
                  data_root: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of :func:`read_manifest` one by one."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'expected a manifest, found none at {os.path.abspath(path)}; '
            'docs/own_data.md tells how to make one')
    root = os.path.abspath(data_root or os.path.dirname(
        os.path.abspath(path)))
    nothing, others = True, set()
    for place, row in _cells(path):
        nothing = False
        others |= row.keys() - _KNOWN
        yield _converted(place, row, root)
    if nothing:
        raise ValueError(f'{path}: expected at least one clip, found none')
    if others:
        _say_ignored(os.path.abspath(path), tuple(sorted(others)))


def segment_of(row: dict[str, Any]) -> tuple[float, float | None] | None:
    """Start and stop of a row's clip in its video, in seconds.

    Args:
        row (dict): Of :func:`read_manifest`.

    Returns:
        tuple, optional: A stop of None is the video's end; None for a clip
        that is all of the video.
    """
    if row['start'] is None and row['stop'] is None:
        return None
    return row['start'] or 0.0, row['stop']


@functools.cache
def _say_ignored(path: str, columns: tuple[str, ...]) -> None:
    """Log, once a file, what is not read: three datasets may read it."""
    print_log(f'{path}: passing over the columns {list(columns)}; known are '
              f'{list(COLUMNS)}', 'current')


def _cells(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and cells of each row of either kind of file."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == '.jsonl':
        with open_text(path, newline='\n') as file:
            yield from _json_lines(path, file)
        return
    with open_text(path) as file:
        if suffix not in ('.csv', '.tsv'):
            raise ValueError('manifest: expected a .csv or .jsonl, got '
                             f'{path}')
        yield from _csv(path, file)


def _csv(path: str, file: TextIO) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and cells of each row."""
    header = ''
    for line in file:
        header += line
        if line.endswith('\n'):
            break
    file.seek(0)
    separator = max(',;\t', key=header.count)
    # strict: a quotation mark that is never closed would swallow the rest.
    reader = csv.DictReader(file, strict=True, delimiter=separator,
                            skipinitialspace=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        _check_header(path, names)
        reader.fieldnames = names
        for row in reader:
            place = f'{path}, line {reader.line_num}'
            if None in row:
                raise ValueError(
                    f'{place}: expected {len(names)} cells, got '
                    f'{len(names) + len(row[None])}; put text with '
                    f'{separator!r} in it into double quotes')
            yield place, row
    except csv.Error as error:
        raise ValueError(f'{path}, line {reader.line_num + 1}: no CSV '
                         f'({error})') from error


def _check_header(path: str, names: list[str]) -> None:
    """Raise a ValueError where a column is missing or given twice."""
    # A blank name is what spreadsheets leave of a column that was emptied.
    repeated = sorted({name for name in names
                       if name and names.count(name) > 1})
    missing = [name for name in REQUIRED if name not in names]
    if missing or repeated:
        what = (f'{missing} missing' if missing else f'{repeated} repeated')
        raise ValueError(
            f'{path}: expected a first line with the columns '
            f'{list(REQUIRED)} and any of {list(COLUMNS)}, each once, '
            f'separated by commas, semicolons or tabs; got {names} ({what})')


def _json_lines(path: str,
                file: TextIO) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and object of each line."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        place = f'{path}, line {number}'
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f'{place}: not JSON ({error})') from error
        if not isinstance(row, dict):
            raise ValueError(f'{place}: expected an object with the keys '
                             f'{list(REQUIRED)} ..., got {line.strip()[:40]}')
        yield place, row


def _converted(place: str, row: dict[str, Any], root: str) -> dict[str, Any]:
    """One row with every column and its types."""
    cells = {name: _blank_to_none(row.get(name)) for name in COLUMNS}
    missing = [name for name in REQUIRED if cells[name] is None]
    if missing:
        raise ValueError(f'{place}: {", ".join(missing)} must not be blank; '
                         f'the row has { {k: v for k, v in row.items()} }')
    for name in PATHS:
        if cells[name] is not None:
            if not _is_path(cells[name]):
                raise ValueError(f'{place}: expected {name} to be a path in '
                                 f'UTF-8, got {cells[name]!r}')
            cells[name] = os.path.normpath(os.path.join(root, cells[name]))
    if (cells['flow_x'] is None) != (cells['flow_y'] is None):
        raise ValueError(f'{place}: flow has two files: expected flow_x and '
                         'flow_y, or neither, got one of them')
    for name in TIMES:
        cells[name] = _time(place, name, cells[name])
    start, stop = cells['start'] or 0.0, cells['stop']
    if stop is not None and stop <= start:
        raise ValueError(f'{place}: expected stop to be later than start, '
                         f'got start={start} and stop={stop} (seconds)')
    if stop is not None:
        cells['start'] = start
    cells['label'] = _label(place, cells['label'])
    for name in ('domain', 'split'):
        if cells[name] is not None:
            cells[name] = str(cells[name])
    return dict(cells, row=place)


def _is_path(value: Any) -> bool:
    """Whether files, the log and a CSV can have this as a name."""
    if not isinstance(value, str) or '\0' in value:
        return False
    try:
        value.encode('utf-8')  # JSON can hold half a character
    except UnicodeEncodeError:
        return False
    return True


def _blank_to_none(value: Any) -> Any:
    """A cell without white space around it; None for nothing."""
    if isinstance(value, str):
        value = value.strip()
    return None if value == '' else value


def _time(place: str, name: str, value: Any) -> float | None:
    """Seconds, or None."""
    if value is None:
        return None
    try:
        return seconds(value)
    except ValueError as error:
        raise ValueError(
            f'{place}, {name}: expected seconds or HH:MM:SS.ss, 0 or more '
            f'and with a point for decimals, got {value!r}') from error


def _label(place: str, value: Any) -> int | str:
    """A class number, or a class name."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f'{place}: expected label to be a whole number or '
                         f'the name of a class, got {value!r}')
    if isinstance(value, str) and re.fullmatch(r'[+-]?[0-9]+', value) is None:
        return value
    return int(value)
