"""Processes that do jobs, none of whose ends can hang the run."""
import errno
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import cv2

from ..errors import explain, media_errors
from .outputs import publish, temporary_names

# With these, each further job would fail as well.
_FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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


def run_one(function: Callable[..., None], job: Any) -> Failure | None:
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


def run_processes(function: Callable[..., None], jobs: Sequence[Any],
                  workers: int, context: Any) -> Iterator[Failure | None]:
    """Do jobs in several processes; see :func:`run_one`.

    A process that dies, as one does that the system stops for want of
    memory, is one failure, and another takes its place. When the iteration
    ends early, all processes are stopped.

    Args:
        function (Callable): See :func:`run_one`.
        jobs (Sequence[Job]): What to do.
        workers (int): Number of processes.
        context (BaseContext): How processes are started.

    Yields:
        Failure, optional: for each job, in the order in which they end.

    Raises:
        OSError: See :func:`run_one`.
        RuntimeError: A process ends before its first job.
    """
    left = iter(jobs)
    pool = _Pool(function, context)
    try:
        for _ in range(workers):
            pool.start(next(left, None))
        while pool.running:
            for link in wait(list(pool.running)):
                job, result = pool.take(link)
                if isinstance(result, OSError):
                    raise result
                following = next(left, None)
                if link in pool.running:
                    pool.give(link, following)
                elif following is not None:
                    pool.start(following)
                yield result
    finally:
        pool.stop()


class _Pool:
    """The processes, each with a pipe and at most one job."""

    def __init__(self, function: Callable[..., None], context: Any) -> None:
        self.function = function
        self.context = context
        self.running: dict[Connection, tuple[Any, Any]] = {}

    def start(self, job: Any) -> None:
        """A further process, with its first job."""
        here, there = self.context.Pipe()
        process = self.context.Process(
            target=_serve, args=(there, self.function), daemon=True)
        _start_without_sigint(process)
        # The only other end is the process's: when it dies, reading ends.
        there.close()
        self.running[here] = process, job
        try:
            here.recv()
        except EOFError:
            process.join()
            raise RuntimeError(
                'a worker process ended before its first job (exit code '
                f'{process.exitcode}); --jobs 1 works without') from None
        self.give(here, job)

    def give(self, link: Connection, job: Any) -> None:
        """Give a process its next job; None ends it."""
        process, _ = self.running[link]
        self.running[link] = process, job
        try:
            link.send(job)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has died: take() finds that out
        if job is None:
            del self.running[link]
            process.join()
            link.close()

    def take(self, link: Connection) -> tuple[Any, Any]:
        """A job and its result, from a process that has something to say."""
        process, job = self.running[link]
        try:
            return job, link.recv()
        except (EOFError, ConnectionResetError):
            del self.running[link]
            process.join()
            link.close()
            return job, Failure(
                job.name, ', '.join(job.sources),
                f'its process died (exit code {process.exitcode})')

    def stop(self) -> None:
        """End what is running, at once."""
        for process, _ in self.running.values():
            process.terminate()
        for link, (process, _) in self.running.items():
            process.join()
            link.close()
        self.running.clear()


def _serve(link: Connection, function: Callable[..., None]) -> None:
    """What a process does: jobs, until there are none or nobody asks."""
    # Ctrl-C reaches all processes; the one that started them stops them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    link.send('ready')
    while True:
        try:
            job = link.recv()
        except EOFError:
            return
        if job is None:
            return
        try:
            result = run_one(function, job)
        except OSError as error:
            result = OSError(*error.args, error.filename)
        try:
            link.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return


def _start_without_sigint(process: Any) -> None:
    """Start a process that Ctrl-C does not reach, from its first moment."""
    if threading.current_thread() is not threading.main_thread():
        process.start()
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
