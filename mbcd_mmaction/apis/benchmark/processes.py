"""The tools as processes of their own, with their logs and their end."""
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ['Stopped', 'Tools']


class Stopped(Exception):
    """A tool ended because it was told to, not because it failed."""


class Tools:
    """Run the tools of a root, several at once, until they are stopped.

    Each is a process group of its own: an interrupt of the terminal does
    not reach it, and :meth:`stop` ends its workers too.

    Args:
        root (Path): Folder with ``configs`` and ``tools``, in which the
            commands run.
        show (Callable, optional): Gets each line of progress.
    """

    def __init__(self, root: Path,
                 show: Callable[[str], None] | None = None) -> None:
        self.root = Path(root)
        self.show = show
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()
        self._stopped = False

    def run(self, command: Sequence[str], log: Path,
            env: dict[str, str] | None = None,
            keep_open: Sequence[int] = ()) -> None:
        """Run a tool to its end; its output is appended to a log.

        Args:
            command (Sequence[str]): ``tools/NAME.py`` or ``.sh``, and flags.
            log (Path): Gets what it prints.
            env (dict, optional): Added to the environment.
            keep_open (Sequence[int]): Files that the process holds open too,
                so that a lock outlives this process while it runs.

        Raises:
            RuntimeError: If it fails; the log's last lines are quoted.
            Stopped: If :meth:`stop` was called.
        """
        python = command[0].endswith('.py')
        if self.show is not None:
            self.show('$ ' + 'python ' * python + ' '.join(command))
        with open(log, 'a') as file:
            status = self._run(
                [sys.executable, '-u', *command] if python else command,
                file, env or {}, keep_open)
        if self._stopped:
            raise Stopped(command[0])
        if status:
            tail = log.read_text().splitlines()[-15:]
            raise RuntimeError(
                f'{" ".join(command)} failed with exit status {status}; the '
                f'end of {log}:\n' + '\n'.join(tail))

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _end(process)

    def _run(self, command: Sequence[str], file, env: dict[str, str],
             keep_open: Sequence[int]) -> int:
        with self._lock:
            if self._stopped:
                raise Stopped(command[0])
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**os.environ, 'PYTHON': sys.executable,
                     'PORT': str(_free_port()), **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors='replace',
                pass_fds=tuple(keep_open),
                start_new_session=True)
            self._running.add(process)
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                if self.show is not None and 'Epoch(' in line:
                    self.show('  ' + line[line.index('Epoch('):].rstrip())
            return process.wait()
        finally:
            _end(process)
            process.stdout.close()
            with self._lock:
                self._running.discard(process)


def _end(process: subprocess.Popen, patience: float = 10.0) -> None:
    """Ask the whole group to end; where it does not, end it."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def _free_port() -> int:
    """A port for the launcher, so that two runs do not share one."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
