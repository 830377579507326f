"""A set's videos written anew, quick to enter anywhere."""
import json
import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import MediaError
from .jobs import Job, Report, run_jobs
from .outputs import publish, temporary_names, withdraw
from .reencode_video import TUNES, reencode_video

# Containers that keep h264 with its time stamps, and videos in others.
_FORMATS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska'}
_OTHERS = frozenset(['.avi', '.flv', '.mpeg', '.mpg', '.ts', '.webm', '.wmv'])
_NOTE = 'reencode.json'
_OWN_FILES = (_NOTE, 'failures.jsonl')


def reencode_set(source: str,
                 target: str,
                 gop: int = 16,
                 crf: int = 20,
                 tune: str = 'fastdecode',
                 overwrite: bool = False,
                 **options: Any) -> Report:
    """Write a set anew: its videos re-encoded, all else copied.

    Names and folders stay the same. Hidden files are left out.

    Args:
        source (str): Folder of the set.
        target (str): Folder for the new one, outside of it.
        gop (int): See :func:`reencode_video`, like the next two.
        crf (int): Defaults to 20.
        tune (str): Defaults to 'fastdecode'.
        overwrite (bool): Also redo what is done. Defaults to False.
        **options: See :func:`run_jobs`: ``workers``, ``progress``.

    Returns:
        Report: What became of the files.

    Raises:
        ValueError: An argument out of range; one folder lies in the other;
            ``target`` was begun with other settings and ``overwrite`` is
            not set.
        FileNotFoundError: There is no such set, or nothing in it.
        FolderInUse, OSError: See :func:`run_jobs`.
    """
    if gop < 1 or not 0 <= crf <= 51 or tune not in TUNES:
        raise ValueError(f'expected gop of 1 or more, crf from 0 to 51 and '
                         f'tune of {TUNES}, got {gop}, {crf} and {tune!r}')
    begin, end = Path(source).resolve(), Path(target).resolve()
    if begin == end or begin in end.parents or end in begin.parents:
        raise ValueError(f'expected two folders, neither in the other, got '
                         f'{begin} and {end}')
    settings = dict(gop=gop, crf=crf, tune=tune)
    jobs = [
        Job(str(path.relative_to(begin)), (str(path), ),
            (str(end / path.relative_to(begin)), ),
            dict(source=str(path), **settings)) for path in _files(begin)
    ]
    if not jobs:
        raise FileNotFoundError(f'no files below {begin}')

    def check() -> None:
        _use_settings(end, dict(settings, source=str(begin)), jobs, overwrite)

    return run_jobs(remake, jobs, end, overwrite=overwrite, begin=check,
                    **options)


def _files(folder: Path) -> list[Path]:
    """What a set consists of, sorted."""
    return sorted(
        path for path in folder.rglob('*')
        if path.is_file() and path.name not in _OWN_FILES and not any(
            part.startswith('.') for part in path.relative_to(folder).parts))


def _use_settings(folder: Path, settings: dict[str, Any], jobs: list[Job],
                  overwrite: bool) -> None:
    """Keep a set alike: compare the settings with the note, or write it."""
    note = folder / _NOTE
    there = json.loads(note.read_text(encoding='utf-8')) if (
        note.is_file()) else None
    if there == settings:
        return
    if there is not None and not overwrite:
        raise ValueError(f'{folder} was begun with {there}, this run is '
                         f'asked for {settings}: give the same options, '
                         'another folder, or --overwrite')
    if there is not None:
        for job in jobs:
            withdraw(job.outputs)
    new = temporary_names([str(note)])
    Path(new[0]).write_text(json.dumps(settings) + '\n', encoding='utf-8')
    publish(new, [str(note)])


def remake(path: str, source: str, **settings: Any) -> None:
    """Re-encode a video, or copy another file.

    Args:
        path (str): File to write.
        source (str): File to read; its suffix says what it is.
        **settings: See :func:`reencode_video`.

    Raises:
        MediaError: See :func:`reencode_video`; or the suffix is of a
            container that cannot hold the result.
    """
    suffix = os.path.splitext(source)[1].lower()
    if suffix in _OTHERS:
        raise MediaError(
            source, f'expected one of {sorted(_FORMATS)}, in which h264 keeps '
            f'its time stamps, got {suffix}: copy it, or convert it')
    if suffix not in _FORMATS:
        shutil.copyfile(source, path)
        return
    reencode_video(path, source, _FORMATS[suffix], **settings)
