"""Experiments as jobs of a cluster (Slurm), through submitit."""
import ast
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.extraction.outputs import FolderInUse
from .campaign import Job, Report, environments, thread_env, threads_each
from .experiment import Experiment

try:
    import submitit
except ImportError as error:
    raise ImportError('a cluster needs submitit: '
                      "pip install 'mbcd_mmaction[cluster]'") from error

__all__ = ['CLUSTERS', 'parse_parameters', 'run_on_cluster']

CLUSTERS = dict(slurm=submitit.SlurmJob, local=submitit.LocalJob)
# What submitit calls the same on every cluster; others are the cluster's.
_SHARED = ('name', 'timeout_min', 'mem_gb', 'nodes', 'cpus_per_task',
           'gpus_per_node', 'tasks_per_node', 'stderr_to_stdout')


@dataclass(frozen=True)
class ClusterJob:
    """What a submitted job runs: one experiment, and its record.

    Attributes:
        job (Job): How it is run and recorded.
        experiment (Experiment): What is run.
        env (Mapping, optional): What it is given of a machine that it shares,
            as environment of its commands; None for all that it finds.
        patience (float): Seconds between looks while another process is at
            the same experiment.
    """
    job: Job
    experiment: Experiment
    env: Mapping[str, str] | None = None
    patience: float = 10.0

    def __call__(self) -> dict:
        """The record, also of a failure."""
        env = thread_env(threads_each(1, self.job.gpus))
        env.update(self.env or {})
        while True:
            try:
                return self.job(self.experiment, env=env)
            except FolderInUse:  # an earlier job of the same: its result
                time.sleep(self.patience)  # will be read back

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit queues where the time is up or the node is wanted:
        the same again, which goes on."""
        return submitit.helpers.DelayedSubmission(self)


def parse_parameters(words: Sequence[str]) -> dict[str, Any]:
    """Cluster options of a command line.

    Args:
        words (Sequence[str]): ``key=value`` each.

    Raises:
        ValueError: If one is something else.
    """
    found = {}
    for word in words:
        key, sign, value = word.partition('=')
        if not (key.isidentifier() and sign and value):
            raise ValueError(f'expected key=value, got {word!r}')
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def run_on_cluster(experiments: Sequence[Experiment],
                   job: Job,
                   cluster: str = 'slurm',
                   jobs: int = 1,
                   parameters: Mapping[str, Any] | None = None,
                   poll: float = 10.0,
                   wait: Callable[[float], None] = time.sleep
                   ) -> tuple[list[dict], list[str]]:
    """Submit one job an experiment, and wait for all of them.

    Jobs go on where the waiting is interrupted, and a later call waits for
    those that are still queued or run instead of submitting them again.

    Args:
        experiments (Sequence[Experiment]): What to run.
        job (Job): How each is run and recorded.
        cluster (str): 'slurm', where all are submitted at once as an array;
            or 'local', processes of this machine.
        jobs (int): How many may run at once. Defaults to 1.
        parameters (Mapping, optional): For submitit, e.g. ``partition`` and
            ``timeout_min``.
        poll (float): Seconds between looks at the jobs.
        wait (Callable): What lets that time pass.

    Returns:
        tuple: As of :func:`~mbcd_mmaction.apis.benchmark.campaign.run_all`.
    """
    queue = _Queue(job, cluster, jobs, parameters or {})
    report = Report(experiments)
    left = list(experiments)
    running = {}
    while left or running:
        taken = left if cluster == 'slurm' else left[:jobs - len(running)]
        running.update(queue.submit(taken))
        left = left[len(taken):]
        for experiment, submitted in list(running.items()):
            if submitted.done():
                del running[experiment]
                report.ended(experiment, queue.result(experiment, submitted))
        if running:
            wait(poll)
    return report.done, report.failed


class _Queue:
    """Submits jobs, knows those of earlier calls, and reads results."""

    def __init__(self, job: Job, cluster: str, jobs: int,
                 parameters: Mapping[str, Any]) -> None:
        self.job, self.cluster = job, cluster
        self.folder = Path(job.out) / 'jobs'
        # Shares of this machine, to be lent to jobs; Slurm deals out its own.
        self.free = [] if cluster == 'slurm' else environments(jobs, job.gpus)
        self.lent: dict[Experiment, dict[str, str]] = {}
        self.executor = submitit.AutoExecutor(self.folder, cluster=cluster)
        # submitit's own limits are a few minutes
        days = 1 if cluster == 'slurm' else 30
        given = dict(name='mbcd', nodes=1, tasks_per_node=1,
                     gpus_per_node=job.gpus or None,
                     timeout_min=days * 24 * 60,
                     slurm_array_parallelism=jobs)
        given.update((key if key in _SHARED else f'{cluster}_{key}', value)
                     for key, value in parameters.items())
        self.executor.update_parameters(**given)

    def submit(self, experiments: Sequence[Experiment]
               ) -> dict[Experiment, submitit.Job]:
        """Jobs of experiments: earlier ones that have not ended, or new."""
        found = {e: self._earlier(e) for e in experiments}
        new = [e for e in experiments if found[e] is None]
        if new:
            with self.executor.batch():
                for e in new:
                    if self.free:
                        self.lent[e] = self.free.pop(0)
                    found[e] = self.executor.submit(
                        ClusterJob(self.job, e, self.lent.get(e)))
        for e in new:
            self._ticket(e).write_text(json.dumps(dict(
                cluster=self.cluster, job_id=found[e].job_id)))
        return found

    def result(self, experiment: Experiment, submitted: submitit.Job) -> dict:
        """The record of a job that has ended; also of one that was killed."""
        if experiment in self.lent:
            self.free.append(self.lent.pop(experiment))
        error = submitted.exception()
        if error is None:
            return submitted.result()
        record = self.job.failure(experiment, error)
        self.job.append(record)
        return record

    def _earlier(self, experiment: Experiment) -> submitit.Job | None:
        """The job of an earlier call, if the cluster has it still."""
        ticket = self._ticket(experiment)
        if not ticket.is_file():
            return None
        left = json.loads(ticket.read_text())
        if left['cluster'] != self.cluster:
            return None
        found = CLUSTERS[self.cluster](self.folder, left['job_id'])
        # Of a job that the cluster does not know, nothing will come.
        return None if found.done() or found.state == 'UNKNOWN' else found

    def _ticket(self, experiment: Experiment) -> Path:
        return self.folder / f'{experiment.name}.json'
