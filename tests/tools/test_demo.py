"""The demo, with the trainings themselves faked."""
import importlib.util
import sys
from pathlib import Path

import pytest

from mbcd_mmaction.analysis.scalars import Scalars
from mbcd_mmaction.apis.benchmark.experiment import resolved_config

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
            source_metrics=METRICS, target_metrics=METRICS)

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
    for experiment in ran:  # a curve of all epochs
        config = resolved_config(experiment, ROOT)
        assert config.train_cfg.val_interval == 1
    printed = capsys.readouterr().out
    assert '| ERM    |' in printed and '| MBCD   |' in printed
    assert (tmp_path / 'accuracy.png').stat().st_size > 1000
    assert (tmp_path / 'balance.png').stat().st_size > 1000
