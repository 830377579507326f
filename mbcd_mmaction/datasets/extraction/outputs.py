"""Files that appear whole or not at all."""
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

# A name that no reader looks for: hidden, and not of a media file.
_SUFFIX = '.part'


def is_done(outputs: Sequence[str]) -> bool:
    """Whether all files of a set are there.

    Only :func:`publish` gives them these names, so what exists is whole.
    """
    return all(os.path.isfile(path) for path in outputs)


def withdraw(outputs: Sequence[str]) -> None:
    """Make a set count as not done."""
    Path(outputs[0]).unlink(missing_ok=True)


def temporary_names(outputs: Sequence[str]) -> list[str]:
    """Names to write to: in the same folders, other for each process."""
    return [
        os.path.join(
            os.path.dirname(path),
            # A hash: the name itself may be as long as names may be.
            f'.{hashlib.sha1(os.fsencode(os.path.basename(path))).hexdigest()}'
            f'-{os.getpid()}{_SUFFIX}') for path in outputs
    ]


def publish(temporary: Sequence[str], outputs: Sequence[str]) -> None:
    """Give whole files their final names.

    Killed at any moment, it leaves either the old set, the new one, or one
    without its first file, which counts as not done: never a mixture.

    Args:
        temporary (Sequence[str]): Files that were written.
        outputs (Sequence[str]): Their final names, in the same order.
    """
    for path in temporary:
        # Else a power cut may keep the new name and lose what it names.
        with open(path, 'rb+') as file:
            os.fsync(file.fileno())
    if len(outputs) > 1:
        withdraw(outputs)
    for source, target in reversed(
            list(zip(temporary, outputs, strict=True))):
        os.replace(source, target)


def clean_leftovers(folder: Path) -> int:
    """Remove what killed runs have left below a folder; returns how many."""
    found = [
        path for path in folder.rglob(f'.*{_SUFFIX}') if path.is_file()
    ]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


class FolderInUse(BlockingIOError):
    """Another process works in a folder."""


class FolderLock:
    """Keep a second run out of a folder; ends with the process at latest.

    Where the system has no such locks, nothing happens.

    Args:
        folder (Path): An existing folder.
        advice (str): What else than waiting one can do.

    Raises:
        FolderInUse: Another process holds it.
    """

    name = '.lock'

    def __init__(self, folder: Path,
                 advice: str = 'or give another --cache') -> None:
        self._path = folder / self.name
        self._advice = advice
        self._file = None

    @property
    def files(self) -> tuple[int, ...]:
        """File numbers: a child process that has them open holds the lock
        too."""
        return () if self._file is None else (self._file.fileno(), )

    def __enter__(self) -> 'FolderLock':
        if fcntl is None:
            return self
        self._file = open(self._path, 'wb')
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise FolderInUse(
                f'{self._path.parent}: expected no other run to write here, '
                f'but one does; wait for it, {self._advice}') from error
        except OSError:
            pass  # a file system without locks
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
