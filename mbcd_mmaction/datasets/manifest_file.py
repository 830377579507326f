"""A person's own list of clips: CSV or JSON Lines."""
import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log

from .annotations import seconds

PATHS = ('video', 'flow_x', 'flow_y', 'audio')
TIMES = ('start', 'stop')
COLUMNS = (*PATHS, *TIMES, 'label', 'domain', 'split')
REQUIRED = ('video', 'label', 'domain')


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
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'expected a manifest, found none at {os.path.abspath(path)}; '
            'docs/own_data.md tells how to make one')
    text = _text(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix == '.jsonl':
        rows = _json_lines(path, text)
    elif suffix in ('.csv', '.tsv'):
        rows = _csv(path, text)
    else:
        raise ValueError(f'manifest: expected a .csv or .jsonl, got {path}')
    root = os.path.abspath(data_root or os.path.dirname(
        os.path.abspath(path)))
    found, other = [], set()
    for place, row in rows:
        other |= row.keys() - set(COLUMNS)
        found.append(_converted(place, row, root))
    if not found:
        raise ValueError(f'{path}: expected at least one clip, found none')
    if other:
        print_log(f'{path}: passing over the columns {sorted(map(str, other))}'
                  f'; known are {list(COLUMNS)}', 'current')
    return found


def _text(path: str) -> str:
    """The whole file, which must be UTF-8, with or without a mark."""
    with open(path, 'rb') as file:
        content = file.read()
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b'\n') + 1
        raise ValueError(
            f'{path}, line {line}: expected UTF-8, got the byte '
            f'0x{content[error.start]:02x} at position {error.start}; save '
            'the file as UTF-8 (file names included)') from error


def _csv(path: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and cells of each row."""
    header = text.split('\n', 1)[0]
    separator = max(',;\t', key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=''),
                            delimiter=separator, skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    repeated = sorted({name for name in names if names.count(name) > 1})
    missing = [name for name in REQUIRED if name not in names]
    if missing or repeated:
        raise ValueError(
            f'{path}: expected a first line with the columns '
            f'{list(REQUIRED)} and any of {list(COLUMNS)}, each once, '
            f'separated by commas, semicolons or tabs; got {names}')
    reader.fieldnames = names
    for row in reader:
        place = f'{path}, line {reader.line_num}'
        if None in row:
            raise ValueError(f'{place}: expected {len(names)} cells, got '
                             f'{len(names) + len(row[None])}; put text with '
                             f'{separator!r} in it into double quotes')
        yield place, row


def _json_lines(path: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and object of each line."""
    for number, line in enumerate(text.splitlines(), start=1):
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
            if not isinstance(cells[name], str):
                raise ValueError(f'{place}: expected {name} to be a path, '
                                 f'got {cells[name]!r}')
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
        raise ValueError(f'{place}, {name}: expected seconds or HH:MM:SS, '
                         f'got {value!r} ({error})') from error


def _label(place: str, value: Any) -> int | str:
    """A class number, or a class name."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f'{place}: expected label to be a whole number or '
                         f'the name of a class, got {value!r}')
    try:
        return int(value)
    except ValueError:
        return value
