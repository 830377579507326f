"""A cache that grows row by row, and appears when it is whole."""
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from . import layout
from .layout import Description, differences

_PROGRESS = 'progress.json'


class CacheWriter:
    """Append rows to a hidden folder, which ``finish`` gives its name.

    A run that was stopped is gone on with from the last :meth:`save`; the
    files are then the same, byte for byte, as of one that was not.

    Args:
        folder (Path): The cache of one split.
        description (Description): What will be in it.
        keys (np.ndarray): Clip keys, (clips,), uint64, ascending.

    Raises:
        ValueError: What a stopped run left is of another description.
    """

    def __init__(self, folder: Path, description: Description,
                 keys: np.ndarray) -> None:
        self.folder = folder
        self.description = description
        self.partial = folder.with_name(f'.{folder.name}.part')
        self.rows = 0
        self.failures: dict[str, list[str]] = {}
        self._shapes = {layout.FLAGS: (np.dtype(np.uint16), ())}
        self._shapes.update((column.file, (column.stored_type, column.shape))
                            for column in description.columns)
        if (self.partial / _PROGRESS).is_file():
            self._resume(keys)
        else:
            self._start(keys)
        self._files: dict[str, BinaryIO] = {
            name: self._open(name) for name in self._shapes
        }

    def append(self, columns: Mapping[str, np.ndarray], flags: np.ndarray,
               failures: Mapping[int, Sequence[str]]) -> None:
        """Add rows.

        Args:
            columns (Mapping[str, np.ndarray]): Column file to (rows, ...).
            flags (np.ndarray): A word for each row.
            failures (Mapping[int, Sequence[str]]): Number in ``flags`` to
                the arguments of its ``ClipReadError``.
        """
        for name, values in {**columns, layout.FLAGS: flags}.items():
            dtype, shape = self._shapes[name]
            assert values.dtype == dtype, (name, values.dtype, dtype)
            assert values.shape == (len(flags), *shape), (name, values.shape)
            self._files[name].write(values.tobytes())
        self.failures.update((str(self.rows + number), list(reason))
                             for number, reason in failures.items())
        self.rows += len(flags)

    def save(self) -> None:
        """Put all rows so far on the disk, and then say that they are."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        _write(self.partial / _PROGRESS, json.dumps(
            dict(rows=self.rows, failures=self.failures)).encode())

    def finish(self) -> None:
        """Give the whole cache its name."""
        assert self.rows == self.description.rows
        self.save()
        self.close()
        if self.failures:
            _write(self.partial / layout.FAILURES, json.dumps(
                self.failures, indent=1).encode())
        (self.partial / _PROGRESS).unlink()
        os.rename(self.partial, self.folder)

    def close(self) -> None:
        """Close the files; rows after the last :meth:`save` are lost."""
        for file in self._files.values():
            file.close()

    def _start(self, keys: np.ndarray) -> None:
        """Begin anew."""
        if self.partial.exists():  # a run that was stopped at its very start
            shutil.rmtree(self.partial)
        self.partial.mkdir(parents=True)
        with open(self.partial / layout.CLIPS, 'wb') as file:
            layout.write_keys(file, keys)
        for name, (dtype, shape) in self._shapes.items():
            (self.partial / name).write_bytes(
                layout.header(dtype, (self.description.rows, *shape)))
        _write(self.partial / layout.META, self.description.as_bytes())
        _write(self.partial / _PROGRESS,
               json.dumps(dict(rows=0, failures={})).encode())

    def _resume(self, keys: np.ndarray) -> None:
        """Go on with what a stopped run has left."""
        check_same(self.partial, self.description, keys)
        progress = json.loads((self.partial / _PROGRESS).read_text('utf-8'))
        self.rows, self.failures = progress['rows'], progress['failures']

    def _open(self, name: str) -> BinaryIO:
        """Open a file at the end of its saved rows."""
        dtype, shape = self._shapes[name]
        begin = layout.header(dtype, (self.description.rows, *shape))
        end = len(begin) + self.rows * int(np.prod(shape)) * dtype.itemsize
        file = open(self.partial / name, 'rb+')
        file.truncate(end)
        file.seek(end)
        return file


def check_same(folder: Path, description: Description,
               keys: np.ndarray) -> None:
    """Whether a folder holds just these clips of this description.

    Raises:
        ValueError: It does not; the text says what differs.
    """
    data = json.loads((folder / layout.META).read_text('utf-8'))
    found = list(differences(data, description.as_dict()))
    if not found and not np.array_equal(np.load(folder / layout.CLIPS),
                                        keys):
        found = ['the clips are others']
    if found:
        raise ValueError(
            f'{folder} holds another cache: {"; ".join(found[:5])}. Remove '
            'it, or give another --cache')


def _write(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(f'{path.name}.new')
    with open(temporary, 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
