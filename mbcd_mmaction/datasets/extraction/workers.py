"""Processes that share work, none of whose ends can hang the others."""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

import cv2
import torch


class Died(NamedTuple):
    """What stands for the result of a process that ended in the middle.

    Attributes:
        exit_code (int): Of the process; negative is the number of a signal.
    """
    exit_code: int


def map_processes(function: Callable[[Any], Any], items: Sequence[Any],
                  workers: int) -> Iterator[tuple[Any, Any]]:
    """Call a function for each item, in several processes.

    Processes are started afresh, with no threads or locks of this one, each
    with one thread for OpenCV and torch. One that dies, as one does that the
    system stops for want of memory, gives :class:`Died` for its item, and
    another takes its place. When the iteration ends early, closed or by
    Ctrl-C, all are stopped.

    Args:
        function (Callable): A function of a module, which other processes
            can import, or a ``functools.partial`` of one.
        items (Sequence): Its arguments; like its results they are pickled.
        workers (int): Number of processes; with 1 all is done in this one.

    Yields:
        tuple: each item and its result, in the order in which they end.

    Raises:
        RuntimeError: A process ends before its first item.
        Exception: What the function raises.
    """
    workers = min(workers, len(items))
    if workers < 2:
        yield from ((item, function(item)) for item in items)
        return
    left = iter(items)
    pool = _Pool(function)
    try:
        for _ in range(workers):
            pool.start(next(left))
        while pool.running:
            for link in wait(list(pool.running)):
                item, result = pool.take(link)
                if isinstance(result, Exception):
                    raise result
                if link in pool.running:
                    pool.give(link, next(left, None))
                else:
                    replacement = next(left, None)
                    if replacement is not None:
                        pool.start(replacement)
                yield item, result
    finally:
        pool.stop()


def default_workers() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _context(function: Callable[[Any], Any]) -> BaseContext:
    """How processes are started: not as copies of this one."""
    methods = multiprocessing.get_all_start_methods()
    if 'forkserver' not in methods:
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    # The heavy imports are done once, not in each process.
    inner = getattr(function, 'func', function)
    context.set_forkserver_preload([inner.__module__])
    return context


class _Pool:
    """The processes, each with a pipe and at most one item."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.context = _context(function)
        self.running: dict[Connection, tuple[Any, Any]] = {}

    def start(self, item: Any) -> None:
        """A further process, with its first item."""
        here, there = self.context.Pipe()
        process = self.context.Process(
            target=_serve, args=(there, self.function), daemon=True)
        _start_without_sigint(process)
        # The only other end is the process's: when it dies, reading ends.
        there.close()
        self.running[here] = process, item
        try:
            here.recv()
        except EOFError:
            process.join()
            raise RuntimeError(
                'a worker process ended before its first item (exit code '
                f'{process.exitcode}); --jobs 1 works without') from None
        self.give(here, item)

    def give(self, link: Connection, item: Any) -> None:
        """Give a process its next item; None ends it."""
        process, _ = self.running[link]
        self.running[link] = process, item
        try:
            link.send(item)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has died: take() finds that out
        if item is None:
            del self.running[link]
            process.join()
            link.close()

    def take(self, link: Connection) -> tuple[Any, Any]:
        """An item and its result, from a process that has one."""
        process, item = self.running[link]
        try:
            return item, link.recv()
        except (EOFError, ConnectionResetError):
            del self.running[link]
            process.join()
            link.close()
            return item, Died(process.exitcode)

    def stop(self) -> None:
        """End what is running, at once."""
        for process, _ in self.running.values():
            process.terminate()
        for link, (process, _) in self.running.items():
            process.join()
            link.close()
        self.running.clear()


def _serve(link: Connection, function: Callable[[Any], Any]) -> None:
    """What a process does: items, until there are none or nobody asks."""
    # Ctrl-C reaches all processes; the one that started them stops them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    link.send('ready')
    while True:
        try:
            item = link.recv()
        except EOFError:
            return
        if item is None:
            return
        try:
            result = function(item)
        except Exception as error:
            result = error
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
