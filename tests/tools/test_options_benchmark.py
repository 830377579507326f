"""The benchmark of the step's shortcuts, with the trainings faked."""
import json
import sys

import pytest
from meta_model import build_on_meta
from mmaction.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.config import Config, DictAction
from test_demo import ROOT, load

ACCURACY = {'exact': .75, 'bf16-trunk': .5}


@pytest.fixture
def tool(monkeypatch):
    tool = load('benchmarks/options.py')
    monkeypatch.setattr(tool, 'make_mini', lambda root: None)
    return tool


def run(tool, monkeypatch, tmp_path, *args):
    """Experiments and caches that were asked for, and the exit status."""
    ran, caches = [], []

    def run_experiment(experiment, root, out, show=None, env=None,
                       tools=None):
        ran.append(experiment)
        if experiment.method == 'erm':
            (out / experiment.name).mkdir(parents=True)
            (out / experiment.name / 'best_acc_top1_epoch_2.pth').touch()
        metrics = {'acc/top1': ACCURACY.get(experiment.variant, .25)}
        return dict(method=experiment.method, target=experiment.target,
                    seed=experiment.seed, variant=experiment.variant,
                    options=experiment.options, source_metrics=metrics,
                    target_metrics=metrics,
                    hours=dict(train=.5, test=.25))

    monkeypatch.setattr(tool, 'run_experiment', run_experiment)
    monkeypatch.setattr(tool, 'make_cache', lambda *a: caches.append(a))
    monkeypatch.setattr(sys, 'argv', [
        'options.py', '--work-dir', str(tmp_path / 'w'), '--results',
        str(tmp_path / 'options.jsonl'), *args])
    return tool.main(), ran, caches


def test_every_cell_once(tool, monkeypatch, tmp_path, capsys):
    status, ran, caches = run(tool, monkeypatch, tmp_path)
    assert status == 0
    assert [e.method for e in ran[:3]] == ['erm'] * 3
    cells = {(e.variant, e.target) for e in ran[3:]}
    assert len(cells) == len(ran) - 3 == 3 * len(tool.VARIANTS)
    assert all(e.options[0] == tool.VALIDATED for e in ran)
    assert {(target, views) for target, _, _, views in caches} == {
        (target, views) for target in ('D1', 'D2', 'D3') for views in (4, )}
    rows = [json.loads(line) for line in
            (tmp_path / 'options.jsonl').read_text().splitlines()]
    assert len(rows) == len(ran) - 3
    assert str(tmp_path) not in (tmp_path / 'options.jsonl').read_text()
    printed = capsys.readouterr().out
    line, = [x for x in printed.splitlines() if x.startswith('| bf16-trunk')]
    assert [x.strip() for x in line.split('|')[2:-1]] == [
        '50.0'] * 5 + ['-25.0']


def test_nothing_to_compare_with(tool, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tool, monkeypatch, tmp_path, '--variants', 'bf16-trunk')
    assert "'exact' is what" in capsys.readouterr().err


def test_configs_take_every_variant(tool, tmp_path):
    """Hooks, wrapper and model are built with each one's options."""
    weights = tmp_path / 'any.pth'
    changed = set()
    for name, options in tool.VARIANTS.items():
        config = Config.fromfile(ROOT / 'configs/mbcd/mini_d1.py')
        config.merge_from_dict({
            key: DictAction._parse_int_float_bool(value)
            for key, value in (option.format(cache=tmp_path).split('=', 1)
                               for option in
                               [tool.VALIDATED, *tool.frozen(weights),
                                *options])})
        assert config.train_cfg.val_interval == 1
        changed.add(config.pretty_text)
        model = build_on_meta(config)
        assert all(b.has_trunk for b in model.branches.values())
        for hook in config.custom_hooks:
            HOOKS.build(hook)
        assert OPTIM_WRAPPERS.get(config.optim_wrapper.type) is not None
        cache = config.train_dataloader.dataset.get('trunk_cache')
        assert (cache is not None) == name.startswith('cached')
    assert len(changed) == len(tool.VARIANTS)
