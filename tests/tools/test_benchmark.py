"""tools/benchmark.py on tools that only write what is read."""
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from fake_root import calls, make_root, records

from mbcd_mmaction.apis.benchmark import campaign
from mbcd_mmaction.apis.benchmark.campaign import (
    Job,
    environments,
    missing,
    run_all,
)
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.apis.benchmark.provenance import commit_of, without_paths

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = """
dataset: toy
targets: [D1, D2]
methods: [erm, mbcd]
seeds: [0]
"""
NAMES = ['erm_toy_d1_seed0', 'mbcd_toy_d1_seed0', 'erm_toy_d2_seed0',
         'mbcd_toy_d2_seed0']


def load(root):
    spec = importlib.util.spec_from_file_location(
        'benchmark_tool', ROOT / 'tools/benchmark.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT = root
    return module


@pytest.fixture
def root(tmp_path):
    root = make_root(tmp_path / 'root')
    (root / 'toy.yaml').write_text(PROTOCOL)
    return root


@pytest.fixture
def run(root, monkeypatch, tmp_path):
    """Runs the tool; its exit status."""
    monkeypatch.setattr(signal, 'signal', lambda *args: None)

    def run(*args, protocol='toy.yaml'):
        tool = load(root)
        monkeypatch.setattr(sys, 'argv', [
            'benchmark.py', str(root / protocol), '--work-dir',
            str(tmp_path / 'w'), '--results', str(tmp_path / 'r.jsonl'),
            *args])
        return tool.main()

    return run


def test_every_cell_once(run, tmp_path, capsys):
    assert run('--jobs', '2') == 0
    found = records(tmp_path / 'r.jsonl')
    assert {(r['method'], r['target'], r['seed']) for r in found} == {
        (m, t, 0) for m in ('erm', 'mbcd') for t in ('D1', 'D2')}
    assert list(found[0]) == [
        'dataset', 'method', 'variant', 'modalities', 'sources', 'target',
        'seed', 'config', 'options', 'fingerprint', 'gpus', 'threads',
        'commit', 'versions', 'hours', 'epoch', 'source_metrics',
        'target_metrics']
    assert str(tmp_path) not in (tmp_path / 'r.jsonl').read_text()
    out = capsys.readouterr().out
    assert '4 experiments, 0 recorded' in out
    assert '[4/4] ' in out and 'source 50.0, target 12.5' in out
    assert len(calls(tmp_path / 'w')) == 8
    assert run() == 0
    assert '4 experiments, 4 recorded' in capsys.readouterr().out
    assert len(calls(tmp_path / 'w')) == 8
    assert records(tmp_path / 'r.jsonl') == found


def test_lost_results_are_read_back(run, tmp_path):
    run()
    found = records(tmp_path / 'r.jsonl')
    (tmp_path / 'r.jsonl').unlink()
    run()
    assert records(tmp_path / 'r.jsonl') == found
    assert len(calls(tmp_path / 'w')) == 8


def test_protocols_that_share_runs(run, root, tmp_path):
    (root / 'other.yaml').write_text(
        PROTOCOL.replace('[erm, mbcd]', """
  - mbcd
  - {method: erm, variant: wide, options: [a.b=1]}"""))
    run()
    assert run(protocol='other.yaml') == 0
    found = records(tmp_path / 'r.jsonl')
    assert [(r['variant'], r['options']) for r in found[4:]] == [
        ('wide', ['a.b=1'])] * 2


def test_a_changed_config_is_run_again(run, root, tmp_path):
    run()
    config = root / 'configs/mbcd/toy_d2.py'
    config.write_text(config.read_text() + 'c = 1\n')
    run()
    found = records(tmp_path / 'r.jsonl')
    assert [(r['method'], r['target']) for r in found[4:]] == [('mbcd', 'D2')]


def test_a_failed_run_is_recorded_and_tried_again(run, root, tmp_path,
                                                  capsys):
    tool = root / 'tools/train.py'
    whole = tool.read_text()
    tool.write_text(whole + "\nassert 'erm_toy_d1' not in out, 'the reason'")
    assert run() == 1
    printed = capsys.readouterr().out
    assert f'FAILED {NAMES[0]}' in printed and 'the reason' in printed
    assert '1 of 4 failed' in printed
    found = records(tmp_path / 'r.jsonl')
    assert len(found) == 4
    failed, = [r for r in found if 'error' in r]
    assert (failed['method'], failed['target']) == ('erm', 'D1')
    assert 'the reason' in failed['error']
    assert str(tmp_path) not in failed['error']
    assert not {'hours', 'source_metrics', 'target_metrics'} & set(failed)
    tool.write_text(whole)
    assert run() == 0
    assert len(records(tmp_path / 'r.jsonl')) == 5
    assert calls(tmp_path / 'w').count(f'train {NAMES[0]}') == 2


def test_dry_run(run, root, tmp_path, capsys):
    assert run('--dry-run', '--gpus', '2') == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * 4
    assert shlex.split(lines[1]) == [
        'tools/dist_train.sh', 'configs/erm/toy_d1.py', '2', '--work-dir',
        str(tmp_path / 'w' / NAMES[0]), '--seed', '0', '--cfg-options',
        'default_hooks.checkpoint.max_keep_ckpts=2',
        'train_dataloader.batch_size=8']
    assert f'{NAMES[0]}/best_acc_top1_epoch_*.pth 2 --work-dir' in lines[2]
    assert not (tmp_path / 'w').exists()


def test_dry_run_names_folders_from_the_root(run, root, tmp_path, capsys,
                                             monkeypatch):
    """Whence it is called makes no difference; the commands go there."""
    (root / 'here').mkdir()
    monkeypatch.chdir(root / 'here')
    assert run('--dry-run', '--work-dir', 'w') == 0
    lines = capsys.readouterr().out.splitlines()
    assert f' here/w/{NAMES[0]}/best_acc_top1_epoch_*.pth ' in lines[2]
    assert run('--dry-run', '--work-dir', 'a b') == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[2])
    assert f'here/a b/{NAMES[0]}/best_acc_top1_epoch_*.pth' in words


def test_no_cluster_is_said(run, tmp_path, monkeypatch, capsys):
    pytest.importorskip('submitit', reason='submitit is not installed')
    monkeypatch.setenv('PATH', '')
    assert run('--executor', 'slurm') == 2
    assert 'srun' in capsys.readouterr().err
    assert not (tmp_path / 'r.jsonl').exists()


def test_a_wrong_protocol_is_said(run, root, tmp_path, capsys):
    (root / 'toy.yaml').write_text(PROTOCOL.replace('mbcd', 'mcbd'))
    assert run() == 2
    assert "got 'mcbd'; see docs/benchmark.md" in capsys.readouterr().err
    assert run(protocol='absent.yaml') == 2
    with pytest.raises(SystemExit):
        run('--slurm', 'partition=gpu')


def test_what_no_run_can_have_is_said_first(run, tmp_path, monkeypatch,
                                            capsys):
    assert run('--gpus', '3') == 2
    assert 'divides the batch of 16' in capsys.readouterr().err
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    assert run('--gpus', '2') == 2
    assert 'at most 1 GPUs for a run' in capsys.readouterr().err
    (tmp_path / 'r.jsonl').write_text('no record\n')
    assert run() == 2
    assert 'r.jsonl, line 1: expected a record' in capsys.readouterr().err
    assert not calls(tmp_path / 'w')


def test_the_mini_set_is_made_first(monkeypatch, tmp_path):
    tool = load(ROOT)
    made, ran = [], []
    monkeypatch.setattr(signal, 'signal', lambda *args: None)
    monkeypatch.setattr(tool, 'make_mini', made.append)
    monkeypatch.setattr(tool, 'run_here', lambda experiments, job, jobs: (
        ran.extend(experiments), (ran, []))[1])
    monkeypatch.setattr(sys, 'argv', [
        'benchmark.py', str(ROOT / 'benchmarks/protocols/mini_dropout.yaml'),
        '--results', str(tmp_path / 'r.jsonl')])
    assert tool.main() == 0
    assert made == [ROOT / 'data/mini']
    assert len(ran) == 9


def start(root, tmp_path, **env):
    """The tool as a process; returns when its trainings run."""
    shutil.copy(ROOT / 'tools/benchmark.py', root / 'tools')
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', 'tools/benchmark.py', 'toy.yaml',
         '--work-dir', str(tmp_path / 'w'), '--results',
         str(tmp_path / 'r.jsonl'), '--jobs', '2'], cwd=root,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **env}, text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    while len(calls(tmp_path / 'w')) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(.02)
    return process


def test_two_at_once_and_an_interrupt(root, run, tmp_path, capsys):
    """Another process leaves alone what runs; what is interrupted is ended
    and not recorded, and the next call goes on with it."""
    process = start(root, tmp_path, FAKE_TRAIN='hang')
    assert run() == 1  # not all is recorded
    assert {(r['method'], r['target'])
            for r in records(tmp_path / 'r.jsonl')} == {('erm', 'D2'),
                                                        ('mbcd', 'D2')}
    out = capsys.readouterr().out
    assert out.count('another process is at it') == 2
    assert '0 of 4 failed, 2 left to another process' in out
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'interrupted: the same command goes on' in err
    assert len(records(tmp_path / 'r.jsonl')) == 2
    assert run() == 0  # no lock is held any more
    assert len(records(tmp_path / 'r.jsonl')) == 4
    assert sorted(calls(tmp_path / 'w')) == sorted(
        [f'train {name}' for name in NAMES[:2] + NAMES] +
        [f'test {name}' for name in NAMES])


def test_an_interrupt_drops_what_waits():
    ran, stopped = [], []

    def run(experiment):
        ran.append(experiment)
        raise KeyboardInterrupt

    experiments = [Experiment('erm', 'toy', 'D1', seed) for seed in range(9)]
    with pytest.raises(KeyboardInterrupt):
        run_all(experiments, run, 1, lambda: stopped.append(1))
    assert stopped == [1]
    assert len(ran) < 9


def test_what_is_missing(root, tmp_path):
    experiments = [Experiment('erm', 'toy', 'D1', seed) for seed in (0, 1)]
    job = Job(root, tmp_path / 'w', tmp_path / 'r.jsonl')
    assert missing(experiments, root, job.results) == experiments
    job.append(job.failure(experiments[0], RuntimeError('why')))
    assert missing(experiments, root, job.results) == experiments
    job(experiments[0])
    assert missing(experiments, root, job.results) == experiments[1:]
    job.append(job.failure(experiments[0], RuntimeError('later')))
    assert missing(experiments, root, job.results) == experiments


def test_the_machine_is_dealt_out(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)),
                        raising=False)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')  # hidden, and stay so
    assert environments(2, 1) == [{'OMP_NUM_THREADS': '4',
                                   'CUDA_VISIBLE_DEVICES': ''}] * 2
    assert environments(16, 1)[0]['OMP_NUM_THREADS'] == '1'
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5,7,9')
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert environments(2, 2) == [{'CUDA_VISIBLE_DEVICES': '3,5'},
                                  {'CUDA_VISIBLE_DEVICES': '7,9'}]
    assert [e['CUDA_VISIBLE_DEVICES'] for e in environments(3, 2)] == [
        '3,5', '7,9', '3,5']
    assert environments(1, 0) == [{'CUDA_VISIBLE_DEVICES': ''}]
    with pytest.raises(ValueError, match='at most 4 GPUs .*got 8'):
        environments(1, 8)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert environments(1, 2) == [{'CUDA_VISIBLE_DEVICES': '0,1'}]


def test_threads_reach_the_tools_and_the_record(root, tmp_path, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(campaign, 'threads_each', lambda jobs, gpus: 3)
    job = Job(root, tmp_path / 'w', tmp_path / 'r.jsonl')
    (record, ), _ = campaign.run_here(
        [Experiment('erm', 'toy', 'D1', 0)], job)
    assert record['threads'] == 3
    assert 'threads 3\n' in (tmp_path / f'w/{NAMES[0]}/train.log').read_text()


def test_commit(tmp_path):

    def git(*command):
        subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=b',
                        *command], cwd=tmp_path, check=True,
                       capture_output=True)

    assert commit_of(tmp_path) is None
    git('init')
    assert commit_of(tmp_path) is None  # nothing is committed
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'configs/a.py').touch()
    git('add', '.')
    git('commit', '-m', 'one')
    commit = commit_of(tmp_path)
    assert len(commit) == 40 and int(commit, 16)
    (tmp_path / 'results.jsonl').touch()  # is no code
    assert commit_of(tmp_path) == commit
    (tmp_path / 'configs/b.py').touch()
    assert commit_of(tmp_path) == f'{commit}-dirty'
    assert commit_of(tmp_path / 'configs') is None  # of another tree


def test_paths_leave_a_text():
    top = '/some' + '/where'  # no machine's path in this file
    assert without_paths(
        f'File "{top}/lib/a.py", line 3, {top}/b.pth: see https://x.org/a/b '
        'and docs/a.md, -1/2, 3 / 4') == (
        'File "a.py", line 3, b.pth: see https://x.org/a/b and docs/a.md, '
        '-1/2, 3 / 4')
    assert without_paths(r'C:\Data\me\a.txt ~/b/c.txt') == 'a.txt c.txt'
    assert without_paths(
        f'No such file:{top}/a.txt, PATH={top}/b/bin:{top}/c/bin, '
        f'file://{top}/d.txt, D:/e/f.txt') == (
        'No such file:a.txt, PATH=bin:bin, d.txt, f.txt')
