"""Jobs through submitit: its local executor, and Slurm's commands faked."""
import multiprocessing
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest
from fake_root import calls, make_root, records

from mbcd_mmaction.apis.benchmark.campaign import Job
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.datasets.extraction.outputs import FolderInUse

pytest.importorskip('submitit', reason='submitit is not installed')
from submitit.core import submission  # noqa: E402

from mbcd_mmaction.apis.benchmark import cluster  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
EXPERIMENTS = [Experiment(method, 'toy', 'D1', 0)
               for method in ('erm', 'mbcd')]
NAMES = [e.name for e in EXPERIMENTS]
# Slurm in as far as submitit asks it: `start` makes its jobs run.
SBATCH = """
cp "${!#}" "$FAKE_SLURM/script"
echo PENDING > "$FAKE_SLURM/state"
echo Submitted batch job 7
"""
SACCT = """
echo 'JobID|State|NodeList'
for task in 0 1; do echo "7_$task|$(cat "$FAKE_SLURM/state")|here"; done
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    return Job(make_root(tmp_path / 'root'), tmp_path / 'w',
               tmp_path / 'r.jsonl')


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """sbatch, srun and sacct on the PATH; the folder of what they keep."""
    folder, state = tmp_path / 'bin', tmp_path / 'state'
    folder.mkdir()
    state.mkdir()
    for name, text in dict(sbatch=SBATCH, srun='', sacct=SACCT).items():
        path = folder / name
        path.write_text(f'#!/bin/bash\n{text}')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('FAKE_SLURM', str(state))
    return state


def start(folder, task):
    """Run a job of the array in a process of its own, to its end.

    A copy of this one: what is imported here need not be again.
    """

    def work():
        os.environ.update(
            SUBMITIT_EXECUTOR='slurm', SLURM_JOB_ID=f'7{task}',
            SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_JOB_NUM_NODES='1',
            SLURM_NODEID='0', SLURM_LOCALID='0', SLURM_JOB_NODELIST='here',
            SLURM_ARRAY_JOB_ID='7', SLURM_ARRAY_TASK_ID=str(task))
        submission.process_job(folder)

    process = multiprocessing.get_context('fork').Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0


def run(job, name, experiments=EXPERIMENTS, **kwargs):
    return cluster.run_on_cluster(experiments, job, name, poll=.1, **kwargs)


def test_a_local_job_records_its_own_failure(job, monkeypatch, capsys):
    """In an interpreter that knows of the job what was written for it."""
    monkeypatch.setenv('FAKE_TRAIN', 'fail')
    assert run(job, 'local', EXPERIMENTS[:1]) == ([], NAMES[:1])
    record, = records(job.results)
    assert 'the reason' in record['error']
    assert f'[1/1] FAILED {NAMES[0]}' in capsys.readouterr().out


def test_slurm_jobs_outlive_who_waits(job, slurm):

    def interrupt(seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, 'slurm', jobs=2, wait=interrupt,
            parameters=dict(partition='gpu', timeout_min=600))
    script = (slurm / 'script').read_text()
    for line in ('--array=0-1%2', '--partition=gpu', '--time=600',
                 '--gpus-per-node=1'):
        assert f'#SBATCH {line}\n' in script
    assert 'export SUBMITIT_EXECUTOR=slurm\n' in script
    assert f'submitit.core._submit {job.out / "jobs"}\n' in script
    assert not calls(job.out)
    (slurm / 'script').unlink()
    done, failed = run(job, 'slurm', jobs=2, wait=lambda seconds: [
        start(job.out / 'jobs', task) for task in (0, 1)])
    assert [r['method'] for r in done] == ['erm', 'mbcd']
    assert not failed
    assert not (slurm / 'script').exists()  # nothing was submitted again
    assert sorted(calls(job.out)) == sorted(
        f'{kind} {name}' for kind in ('train', 'test') for name in NAMES)
    assert sorted(r['method'] for r in records(job.results)) == ['erm',
                                                                 'mbcd']


class Ended:
    """A job that came to a result at once."""
    job_id, state = '5', 'FINISHED'

    def __init__(self, job):
        self.job = job

    def done(self):
        return True

    def exception(self):
        return None

    def result(self):
        return dict(env=self.job.env, error='none')


def test_local_jobs_share_out_the_gpus(job, monkeypatch):
    """Each has one of its own; the third gets that of one that has ended."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    queue = cluster._Queue(job, 'local', 2, {})
    monkeypatch.setattr(queue.executor, 'submit', Ended)
    monkeypatch.setattr(queue.executor, 'batch', nullcontext)
    three = [Experiment('erm', 'toy', 'D1', seed) for seed in range(3)]

    def visible(submitted):
        return submitted.job.env['CUDA_VISIBLE_DEVICES']

    first, second = queue.submit(three[:2]).values()
    assert [visible(first), visible(second)] == ['3', '5']
    queue.result(three[1], second)
    third, = queue.submit(three[2:]).values()
    assert visible(third) == '5'


class Killed:
    """A job of which nothing came."""
    job_id, state = '5', 'OUT_OF_MEMORY'

    def done(self):
        return True

    def exception(self):
        return RuntimeError('no output (state: OUT_OF_MEMORY)')


def test_a_killed_job_is_a_failure(job, monkeypatch):
    monkeypatch.setattr(cluster._Queue, 'submit', lambda self, experiments: {
        e: Killed() for e in experiments})
    done, failed = run(job, 'local', jobs=1)
    assert (done, failed) == ([], NAMES)
    assert ['OUT_OF_MEMORY' in r['error'] for r in records(job.results)] == [
        True, True]


def test_a_job_waits_for_an_earlier_one_of_the_same(job):
    tries = []

    class Busy(Job):

        def __call__(self, experiment, tools=None, env=None):
            tries.append(env)
            if len(tries) < 3:
                raise FolderInUse
            return dict(epoch=1)

    busy = Busy(job.root, job.out, job.results)
    one = cluster.ClusterJob(busy, EXPERIMENTS[0], dict(A='1'), patience=0)
    assert one() == dict(epoch=1)
    assert len(tries) == 3 and tries[2]['A'] == '1'
    assert one.checkpoint().function == one  # what is queued again


def test_parameters():
    assert cluster.parse_parameters(
        ['partition=gpu', 'timeout_min=600', 'time=10:00:00', 'mem_gb=1.5',
         'exclusive=True']) == dict(
             partition='gpu', timeout_min=600, time='10:00:00', mem_gb=1.5,
             exclusive=True)
    for wrong in ('gpu', 'a=', '=b', 'a b=c'):
        with pytest.raises(ValueError, match='expected key=value'):
            cluster.parse_parameters([wrong])
