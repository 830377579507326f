"""Many experiments: those that are missing, side by side, each recorded."""
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from ...analysis.records import identity
from ...datasets.extraction.outputs import FolderInUse
from .experiment import Experiment, identify
from .processes import Stopped, Tools
from .provenance import commit_of, versions, without_paths
from .results import append_record, finished
from .running import run_experiment, threads_of

__all__ = ['Job', 'Report', 'environments', 'missing', 'run_all', 'run_here',
           'thread_env', 'threads_each']


@dataclass(frozen=True)
class Job:
    """Runs an experiment and appends its record, also that of a failure.

    Attributes:
        root (Path): Folder with ``configs`` and ``tools``.
        out (Path): Folder of the experiments' folders.
        results (Path): The file of records.
        gpus (int): Processes of a run, if more than 1.
    """
    root: Path
    out: Path
    results: Path
    gpus: int = 1

    def __call__(self, experiment: Experiment, tools: Tools | None = None,
                 env: dict[str, str] | None = None) -> dict:
        """Run one.

        Returns:
            dict: The record, with ``error`` where it failed.

        Raises:
            Stopped: ``tools`` was stopped.
            FolderInUse: Another process is at this experiment.
        """
        try:
            record = run_experiment(experiment, self.root, self.out, env=env,
                                    gpus=self.gpus, tools=tools)
        except (Stopped, FolderInUse):
            raise
        except Exception as error:  # whatever it is, the rest go on
            record = self.failure(experiment, error, env)
        self.append(record)
        return record

    def append(self, record: Mapping) -> None:
        """Add a record to the results; one of success only if it is new."""
        if 'error' in record or not _is_done(record, finished(self.results)):
            append_record(self.results, record)

    def failure(self, experiment: Experiment, error: Exception,
                env: dict[str, str] | None = None) -> dict:
        """The record of a run that came to nothing."""
        text = without_paths(f'{type(error).__name__}: {error}')
        return dict(
            identify(experiment, self.root),
            gpus=self.gpus,
            threads=threads_of(env),
            commit=commit_of(self.root),
            versions=versions(),
            error=text[-2000:])


def missing(experiments: Sequence[Experiment], root: Path,
            results: Path) -> list[Experiment]:
    """Those without a record of success with their fingerprint.

    Args:
        experiments (Sequence[Experiment]): In the order of running.
        root (Path): Folder with ``configs``.
        results (Path): The file of records; it need not be there.
    """
    done = finished(results)
    return [e for e in experiments if not _is_done(identify(e, root), done)]


def run_here(experiments: Sequence[Experiment], job: Job,
             jobs: int = 1) -> tuple[list[dict], list[str]]:
    """Run experiments on this machine, some at once; see :func:`run_all`.

    The GPUs are dealt out among those that run at once, and so are the
    cores, as ``OMP_NUM_THREADS``, unless that is set.
    """
    tools = Tools(job.root)
    slots: queue.SimpleQueue = queue.SimpleQueue()
    for env in environments(jobs, job.gpus):
        slots.put(env)

    def run(experiment: Experiment) -> dict:
        env = slots.get()
        try:
            return job(experiment, tools, env)
        finally:
            slots.put(env)

    return run_all(experiments, run, jobs, tools.stop)


def run_all(experiments: Sequence[Experiment],
            run: Callable[[Experiment], dict],
            jobs: int = 1,
            stop: Callable[[], None] = lambda: None
            ) -> tuple[list[dict], list[str]]:
    """Run experiments side by side; those that fail do not stop the rest.

    One line is printed for each as it ends.

    Args:
        experiments (Sequence[Experiment]): What to run.
        run (Callable): Runs one, as :func:`run_experiment` or :class:`Job`.
        jobs (int): How many at once. Defaults to 1.
        stop (Callable): Called on an interrupt, to end what runs; what does
            not run yet never does.

    Returns:
        tuple: The results in the order of ``experiments``, and the names of
        those that failed. One that another process is at is in neither.
    """
    report = Report(experiments)

    def one(experiment: Experiment) -> None:
        try:
            result = run(experiment)
        except Stopped:
            return
        except FolderInUse:
            result = None
        except Exception as error:
            result = dict(error=f'{type(error).__name__}: {error}')
        report.ended(experiment, result)

    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(one, e) for e in experiments]
        for future in futures:
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop()
        raise
    finally:
        pool.shutdown()
    return report.done, report.failed


class Report:
    """Prints one line for each experiment that ends, and keeps the count.

    Args:
        experiments (Sequence[Experiment]): All that will end.
    """

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self._experiments = experiments
        self._results: dict[Experiment, dict | None] = {}
        self._lock = threading.Lock()

    def ended(self, experiment: Experiment, result: dict | None) -> None:
        """Take a record; None where another process is at it."""
        with self._lock:
            self._results[experiment] = result
            print(f'[{len(self._results)}/{len(self._experiments)}] '
                  f'{summary(experiment, result)}', flush=True)

    @property
    def done(self) -> list[dict]:
        """Records of success, in the experiments' order."""
        return [self._results[e] for e in self._experiments
                if self._results.get(e) and 'error' not in self._results[e]]

    @property
    def failed(self) -> list[str]:
        """Names of those that failed."""
        return [e.name for e in self._experiments
                if 'error' in (self._results.get(e) or {})]


def summary(experiment: Experiment, result: Mapping | None) -> str:
    """One line about a run that has ended."""
    if result is None:
        return f'{experiment.name}: another process is at it'
    if 'error' in result:
        return f'FAILED {experiment.name}: {result["error"]}'
    source, target = (100 * result[f'{part}_metrics']['acc/top1']
                      for part in ('source', 'target'))
    return (f'{experiment.name}: source {source:.1f}, target {target:.1f} '
            f'({60 * result["hours"]["train"]:.1f} min)')


def threads_each(jobs: int, gpus: int = 1) -> int:
    """The cores that this process may use, shared; at least 1."""
    cores = (len(os.sched_getaffinity(0))
             if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1)
    return max(1, cores // (jobs * max(1, gpus)))


def thread_env(threads: int) -> dict[str, str]:
    """For a command's environment; what is set already stays."""
    return ({} if 'OMP_NUM_THREADS' in os.environ else
            {'OMP_NUM_THREADS': str(threads)})


def environments(jobs: int, gpus: int) -> list[dict[str, str]]:
    """What each of several jobs at once is given of the machine.

    Args:
        jobs (int): How many at once.
        gpus (int): Of each job; 0 hides them. More jobs than there are GPUs
            for share them.

    Raises:
        ValueError: If there are GPUs, but fewer than one job wants.
    """
    shared = thread_env(threads_each(jobs, gpus))
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    there = ([name for name in named.split(',') if name] if named is not None
             else [str(i) for i in range(torch.cuda.device_count())])
    if not there:
        hidden = {} if named is None else {'CUDA_VISIBLE_DEVICES': ''}
        return [dict(shared, **hidden) for _ in range(jobs)]
    if gpus > len(there):
        raise ValueError(f'expected at most {len(there)} GPUs for a run, as '
                         f'many as there are, got {gpus}')
    return [dict(shared, CUDA_VISIBLE_DEVICES=','.join(
        there[(job * gpus + i) % len(there)] for i in range(gpus)))
        for job in range(jobs)]


def _is_done(fields: Mapping, done: Mapping[tuple, str]) -> bool:
    return done.get(identity(fields)) == fields['fingerprint']
