"""Many files made of many others: processes, whole results, resumption."""
import errno
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from mmengine.utils import ProgressBar

from ..errors import explain, media_errors
from .outputs import (
    FolderLock,
    clean_leftovers,
    is_done,
    publish,
    temporary_names,
    withdraw,
)
from .workers import Died, default_workers, map_processes


class Job(NamedTuple):
    """One call that makes some files.

    Attributes:
        name (str): What a report calls it, as a rule the clip.
        sources (tuple[str, ...]): Files that it reads, for the report.
        outputs (tuple[str, ...]): Files that it makes, all of one folder;
            it counts as done when all of them exist.
        arguments (dict): Keyword arguments of the function.
    """
    name: str
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    arguments: dict[str, Any]


# With these, each further job would fail as well.
_FATAL = tuple(
    getattr(errno, name) for name in ('ENOSPC', 'EDQUOT', 'EROFS')
    if hasattr(errno, name))


class Failure(NamedTuple):
    """One job that failed.

    Attributes:
        name (str): The job's name.
        path (str): The file at fault.
        reason (str): What is wrong with it.
        detail (str): The trace, where it is a mistake of the program rather
            than of a file.
    """
    name: str
    path: str
    reason: str
    detail: str = ''


class Report(NamedTuple):
    """What became of the jobs.

    Attributes:
        num_done (int): Jobs done in this run.
        num_skipped (int): Jobs whose files were all there before.
        failures (list[Failure]): Jobs that failed, by name.
        failure_file (str): Where they are listed.
    """
    num_done: int
    num_skipped: int
    failures: list[Failure]
    failure_file: str


def run_jobs(function: Callable[..., None],
             jobs: Sequence[Job],
             folder: str | Path,
             workers: int | None = None,
             overwrite: bool = False,
             progress: bool = True,
             begin: Callable[[], None] | None = None) -> Report:
    """Make the files of all jobs that are not done.

    ``function(*paths, **job.arguments)`` writes to temporary names beside
    the final ones, in this process or in others; whole results alone get the
    final names. So whatever ends a run, the next one goes on where it was.
    A job that fails is reported, in ``<folder>/failures.jsonl`` too, and the
    others go on; a full disk ends the run.

    Args:
        function (Callable): A function of a module, which other processes
            can import.
        jobs (Sequence[Job]): What to make; two jobs of the same outputs are
            a mistake of the caller.
        folder (str | Path): The folder below which all outputs lie. One run
            at a time works in it.
        workers (int, optional): Processes; with 1 all is done in this one.
            Defaults to None: the cores that this process may use.
        overwrite (bool): Also redo what is done, which counts as undone from
            the beginning. Defaults to False.
        progress (bool): Show a bar on stderr. Defaults to True.
        begin (Callable, optional): Called before anything else, while no
            other run can work in the folder; what it raises ends the run.
            Defaults to None.

    Raises:
        FolderInUse: Another run works in the folder.
        OSError: The disk is full or cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / 'failures.jsonl'
    with FolderLock(folder):
        if begin is not None:
            begin()
        clean_leftovers(folder)
        if overwrite:
            for job in jobs:
                withdraw(job.outputs)
        todo = [job for job in jobs if not is_done(job.outputs)]
        failures = []
        try:
            with closing(_run(function, todo, workers)) as results:
                for failure in _show(results, len(todo), progress):
                    if failure is not None:
                        failures.append(failure)
        finally:
            # Also of processes that were stopped in the middle.
            clean_leftovers(folder)
            failures.sort()
            _write_failures(listed, failures)
    return Report(
        len(todo) - len(failures), len(jobs) - len(todo), failures,
        str(listed))


def _run(function: Callable[..., None], jobs: Sequence[Job],
         workers: int | None) -> Iterator[Failure | None]:
    """One item for each job, in the order in which they end."""
    one = functools.partial(_run_one, function)
    with closing(map_processes(one, jobs, workers
                               or default_workers())) as results:
        for job, result in results:
            if isinstance(result, Died):
                result = Failure(
                    job.name, ', '.join(job.sources),
                    f'its process died (exit code {result.exit_code})')
            yield result


def _run_one(function: Callable[..., None], job: Job) -> Failure | None:
    """Do one job in this process.

    Args:
        function (Callable): Called with one path to write for each output,
            then the job's arguments.
        job (Job): What to do.

    Returns:
        Failure, optional: None where all went well.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    temporary = temporary_names(job.outputs)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for path in job.outputs:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        function(*temporary, **job.arguments)
        publish(temporary, job.outputs)
    except Exception as error:
        if getattr(error, 'errno', None) in _FATAL:
            raise OSError(error.errno, os.strerror(error.errno),
                          job.outputs[0]) from error
        known = isinstance(error, media_errors())
        path, reason = explain(error, job.sources)
        return Failure(job.name, path, reason,
                       '' if known else traceback.format_exc())
    finally:
        cv2.setNumThreads(threads)
        for path in temporary:
            if os.path.exists(path):
                os.unlink(path)
    return None


def _show(results: Iterator[Failure | None], total: int,
          progress: bool) -> Iterator[Failure | None]:
    """Pass results on, with a bar."""
    bar = ProgressBar(total, file=sys.stderr) if progress and total else None
    for result in results:
        if bar:
            bar.update()
        yield result
    if bar:
        bar.file.write('\n')


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """Replace the list of failures; without any there is no file."""
    if not failures:
        path.unlink(missing_ok=True)
        return
    lines = [json.dumps(failure._asdict()) for failure in failures]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
