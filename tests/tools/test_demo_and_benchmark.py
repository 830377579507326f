"""The demo and the mini benchmark, with the trainings themselves faked."""
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from mbcd_mmaction.analysis.scalars import Scalars

ROOT = Path(__file__).resolve().parents[2]
METRICS = {'acc/top1': .5, 'acc/video/top1': .25, 'acc/D2/top1': .5,
           'acc/D2/video/top1': .25}


def load(path):
    spec = importlib.util.spec_from_file_location(
        Path(path).stem + '_tool', ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ran(monkeypatch):
    return []


def fake_run(ran):

    def run_experiment(experiment, root, out, show=None, env=None):
        assert root == ROOT
        ran.append(experiment)
        return dict(
            method=experiment.method, dataset='mini',
            target=experiment.target, seed=experiment.seed, epoch=2,
            source_metrics=METRICS, target_metrics=METRICS, seconds=1.0)

    return run_experiment


def test_demo(tmp_path, monkeypatch, capsys, ran):
    tool = load('tools/demo.py')
    made = []
    row = dict(step=1, loss=1.0, dominance_ratio_video=1.1)
    monkeypatch.setattr(tool, 'make_mini', made.append)
    monkeypatch.setattr(tool, 'run_experiment', fake_run(ran))
    monkeypatch.setattr(tool, 'read_scalars', lambda path: Scalars(
        [row], [dict(METRICS, step=1)]))
    monkeypatch.setattr(sys, 'argv', ['demo.py', '--out', str(tmp_path)])
    assert tool.main() == 0
    assert made == [ROOT / 'data/mini']
    assert [(e.method, e.target) for e in ran] == [('erm', 'D1'),
                                                   ('mbcd', 'D1')]
    printed = capsys.readouterr().out
    assert '| ERM    |' in printed and '| MBCD   |' in printed
    assert (tmp_path / 'accuracy.png').stat().st_size > 1000
    assert (tmp_path / 'balance.png').stat().st_size > 1000


def benchmark(tmp_path, monkeypatch, ran, run, seeds='012'):
    tool = load('benchmarks/mini.py')
    monkeypatch.setattr(tool, 'make_mini', lambda root: None)
    monkeypatch.setattr(tool, 'run_experiment', run)
    monkeypatch.setattr(sys, 'argv', [
        'mini.py', '--jobs', '2', '--seeds', *seeds, '--results',
        str(tmp_path / 'r/mini.jsonl'), '--page', str(tmp_path / 'page.md')])
    return tool.main()


def test_benchmark_runs_every_cell_once(tmp_path, monkeypatch, ran):
    assert benchmark(tmp_path, monkeypatch, ran, fake_run(ran), '01') == 0
    cells = {(e.method, e.target, e.seed) for e in ran}
    assert len(ran) == len(cells) == 3 * 3 * 2
    lines = (tmp_path / 'r/mini.jsonl').read_text().splitlines()
    assert len(lines) == 18
    keys = [tuple(json.loads(line)[k] for k in ('seed', 'target', 'method'))
            for line in lines]
    assert keys == sorted(keys)
    page = (tmp_path / 'page.md').read_text()
    assert '| MBCD' in page
    assert '`python benchmarks/mini.py --jobs 2 --seeds 0 1 ' in page


@pytest.mark.parametrize('extra', [
    [], ['--results', 'other.jsonl'], ['--page', 'other.md']])
def test_a_part_does_not_overwrite_the_whole(monkeypatch, capsys, extra):
    tool = load('benchmarks/mini.py')
    monkeypatch.setattr(sys, 'argv', ['mini.py', '--seeds', '0', *extra])
    with pytest.raises(SystemExit):
        tool.main()
    assert 'would overwrite the whole' in capsys.readouterr().err


def test_benchmark_without_all_runs_writes_no_table(tmp_path, monkeypatch,
                                                    capsys, ran):

    def broken(experiment, root, out, show=None, env=None):
        if experiment.method == 'ema':
            raise RuntimeError('the reason')
        return fake_run(ran)(experiment, root, out)

    assert benchmark(tmp_path, monkeypatch, ran, broken) == 1
    assert not (tmp_path / 'page.md').exists()
    printed = capsys.readouterr()
    assert 'the reason' in printed.out
    assert '9 runs failed' in printed.err
