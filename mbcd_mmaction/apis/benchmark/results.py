"""Write to the file of records: a line each, only ever appended."""
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from ...analysis.records import read_records

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

__all__ = ['append_record', 'finished']


def finished(path: str | Path) -> dict[tuple, str]:
    """The fingerprints of finished experiments, by identity.

    A torn last line (a process was killed as it wrote) is left out with a
    warning; the next append removes it.

    Args:
        path (str | Path): A ``results.jsonl``; it need not be there.

    Raises:
        ValueError: If another line is no record; it is named.
    """
    if not Path(path).is_file():
        return {}
    records = read_records([path])
    for place in records.torn:
        warnings.warn(f'{place}: the last line is torn and left out',
                      stacklevel=2)
    return {run.identity: run.fingerprint for run in records.runs}


def append_record(path: str | Path, record: Mapping) -> None:
    """Append one line in one write, with other processes kept out.

    Args:
        path (str | Path): A ``results.jsonl``; it and its folder are made.
        record (Mapping): What the line says.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record) + '\n'
    with open(path, 'a+b') as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file
        file.seek(0)
        whole, newline, tail = file.read().rpartition(b'\n')
        if tail:
            if _is_json(tail):
                line = '\n' + line
            else:
                file.truncate(len(whole) + len(newline))
        os.write(file.fileno(), line.encode())
        os.fsync(file.fileno())


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
