"""What goes wrong when media are read, and how it travels to the log."""
import os
import sys
from typing import NamedTuple


def printable(path: str) -> str:
    r"""A path as text: bytes that are not UTF-8 become ``\xe9`` and such.

    Python holds them in a form that neither a terminal nor a log takes.
    """
    return os.fsencode(path).decode('utf-8', 'backslashreplace')


class MediaError(Exception):
    """A media file was found but cannot be used.

    Args:
        path (str): The file.
        reason (str): What is wrong with it, in a few words.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f'{printable(self.path)}: {self.reason}'


class ClipReadError(RuntimeError):
    """One modality of one clip could not be read.

    A data loader worker re-raises its errors by their text alone, which
    this class' arguments do not allow: the main process then sees the base
    class ``RuntimeError`` with the same text.

    Args:
        modality (str): Key of the modality, e.g. ``'video'``.
        path (str): The file at fault.
        reason (str): Why it could not be read.
        clip_id (str): The clip. Defaults to ''.
    """

    def __init__(self,
                 modality: str,
                 path: str,
                 reason: str,
                 clip_id: str = '') -> None:
        super().__init__(modality, path, reason, clip_id)
        self.modality = modality
        self.path = path
        self.reason = reason
        self.clip_id = clip_id

    def __str__(self) -> str:
        return (f'clip {self.clip_id or "(unnamed)"}: cannot read its '
                f'{self.modality} from {self.path}: {self.reason}')


class ReadFailure(NamedTuple):
    """One entry of ``read_errors`` in a data sample's metainfo.

    Attributes:
        path (str): The file at fault.
        reason (str): Why it could not be read.
        modality (str): The modality that the file holds.
        clip_id (str): The clip that was left out for it. Clips of one
            recording share their audio file, so that files alone do not
            say how many clips are lost.
    """
    path: str
    reason: str
    modality: str = ''
    clip_id: str = ''


# Only what says "this file is bad": a TypeError or KeyError in a pipeline is
# a mistake in a program or config, which no other clip will cure.
_BUILTIN_ERRORS = (OSError, EOFError, RuntimeError, MediaError)
_READER_ERRORS = (('av.error', 'FFmpegError'), ('decord', 'DECORDError'),
                  ('soundfile', 'SoundFileError'))


def media_errors() -> tuple[type[Exception], ...]:
    """Exception classes by which the media readers report a bad file.

    Decord raises a plain ``RuntimeError`` for an empty or cut-off file, so
    that class is among them. A reader that was not imported cannot have
    raised anything and is left out.

    Returns:
        tuple[type]: Classes for an ``except`` clause.
    """
    found = [
        getattr(sys.modules[module], name)
        for module, name in _READER_ERRORS if module in sys.modules
    ]
    return (*_BUILTIN_ERRORS, *found)


def explain(error: Exception, sources: tuple[str, ...]) -> tuple[str, str]:
    """Name the file at fault and the reason in one line.

    Args:
        error (Exception): What a reader raised.
        sources (tuple[str]): The files that were being read.

    Returns:
        tuple[str, str]: Path, fit to be printed, and reason. Where the
        error names no file, the first source that is absent or empty is
        taken, else all of them.
    """
    named = getattr(error, 'path', None) or _filename(error, sources)
    candidates = (os.fsdecode(named), ) if named else sources
    for path in candidates:
        if not os.path.exists(path):
            return (printable(path), 'no such file') if path.strip() else (
                repr(path), 'the path is blank')
        if os.path.isfile(path) and os.path.getsize(path) == 0:
            return printable(path), 'the file is empty (0 bytes)'
    if isinstance(error, MediaError):
        return printable(error.path), error.reason
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = lines[0] if lines else 'no detail given'
    return (', '.join(map(printable, candidates)),
            f'{type(error).__name__}: {detail}')


def _filename(error: Exception,
              sources: tuple[str, ...]) -> str | bytes | None:
    """The file that an error names, if it is one."""
    named = getattr(error, 'filename', None)
    by_ffmpeg = type(error).__module__.startswith('av.')
    # PyAV puts the name of FFmpeg's function there once a file is open.
    if by_ffmpeg and named not in sources and not os.path.exists(named or ''):
        return None
    return named
