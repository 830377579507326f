"""The file of finished runs: one JSON object a line, only ever appended."""
import json
import os
import warnings
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

__all__ = ['IDENTITY', 'append_record', 'identity', 'latest', 'read_records']

# Which experiment a record is of. What it was run with is the fingerprint.
IDENTITY = ('dataset', 'method', 'variant', 'modalities', 'sources', 'target',
            'seed')


def identity(record: Mapping) -> tuple[Hashable, ...]:
    """The experiment a record is of; modalities and sources as sets."""
    return tuple(
        frozenset(record[key]) if key in ('modalities', 'sources') else
        record[key] for key in IDENTITY)


def latest(records: Iterable[Mapping]) -> dict[tuple, Mapping]:
    """The last record of each experiment, by identity, in file order."""
    found = {}
    for record in records:
        found.pop(identity(record), None)
        found[identity(record)] = record
    return found


def read_records(path: str | Path) -> list[dict]:
    """All records of a file, none where there is no file.

    The last line may be torn: a process was killed as it wrote. It is left
    out with a warning, and the next append removes it.

    Args:
        path (str | Path): A ``results.jsonl``.

    Raises:
        ValueError: If another line is no record; it is named.
    """
    path = Path(path)
    if not path.is_file():
        return []
    text = path.read_text(encoding='utf-8', errors='replace')
    *lines, tail = text.split('\n')
    records = [_record(path, number, line)
               for number, line in enumerate(lines, 1) if line.strip()]
    if tail.strip():
        try:
            records.append(json.loads(tail))
        except ValueError:
            warnings.warn(
                f'{path}: the last line is torn and left out: {tail[:60]!r}',
                stacklevel=2)
    return records


def append_record(path: str | Path, record: Mapping) -> bool:
    """Append one line in one write, with other processes kept out.

    Args:
        path (str | Path): A ``results.jsonl``; it and its folder are made.
        record (Mapping): What the line says.

    Returns:
        bool: False where the last record of the experiment is this very one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record) + '\n'
    with open(path, 'a+b') as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file
        file.seek(0)
        content = file.read()
        whole, newline, tail = content.rpartition(b'\n')
        if record == _last_of(identity(record), content):
            return False
        if tail:
            if _is_json(tail):
                line = '\n' + line
            else:
                file.truncate(len(whole) + len(newline))
        os.write(file.fileno(), line.encode())
        os.fsync(file.fileno())
    return True


def _record(path: Path, number: int, line: str) -> dict:
    try:
        record = json.loads(line)
        identity(record)
        return record
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}, line {number}: expected a record with {IDENTITY}, got '
            f'{line[:60]!r} ({type(error).__name__}: {error})') from error


def _last_of(wanted: tuple, content: bytes) -> dict | None:
    """The last record of an experiment; lines that are none are passed
    over."""
    for line in reversed(content.split(b'\n')):
        try:
            record = json.loads(line)
            if identity(record) == wanted:
                return record
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
