"""Every shipped experiment keeps the protocol that its name promises."""
import re
from pathlib import Path

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted(
    p.relative_to(ROOT / 'configs') for p in ROOT.glob('configs/*/*.py')
    if not p.parent.name.startswith('_') and p.parent.name != 'mixing')
DOMAINS = {'D1', 'D2', 'D3'}


def load(path):
    return Config.fromfile(ROOT / 'configs' / path)


def test_all_are_there():
    names = {str(p) for p in EXPERIMENTS}
    assert names >= {
        f'{method}/{data}_d{i}.py' for method in ('mbcd', 'erm', 'ema')
        for data in ('mini', 'epic') for i in (1, 2, 3)
    }


@pytest.mark.parametrize('path', EXPERIMENTS, ids=str)
def test_protocol(path):
    config = load(path)
    target = {re.search(r'_(d\d)\.py$', str(path)).group(1).upper()}
    parts = {
        name: config[f'{name}_dataloader'].dataset
        for name in ('train', 'val', 'test')
    }
    assert set(parts['train'].domains) == DOMAINS - target
    assert set(parts['val'].domains) == DOMAINS - target
    assert set(parts['test'].domains) == target
    assert set(config.source_domains) == DOMAINS - target
    assert set(config.target_domains) == target
    assert [parts[n].split for n in parts] == ['train', 'test', 'test']
    assert not parts['train'].get('test_mode', False)
    assert parts['val'].test_mode and parts['test'].test_mode
    assert config.default_hooks.checkpoint.save_best == 'acc/top1'


@pytest.mark.parametrize('path', EXPERIMENTS, ids=str)
def test_first_lines_name_the_experiment(path):
    first = (ROOT / 'configs' / path).read_text().splitlines()[0]
    config = load(path)
    arrow = (f'{" + ".join(config.source_domains)} -> '
             f'{config.target_domains[0]}.')
    assert first.endswith(arrow)
    method = {'mbcd': 'MBCD', 'erm': 'ERM', 'ema': 'ERM with weight'}
    assert first.startswith('"""' + method[path.parent.name])


@pytest.mark.parametrize('path', EXPERIMENTS, ids=str)
def test_siblings_differ_in_domains_only(path):
    first = load(re.sub(r'd\d\.py$', 'd1.py', str(path))).to_dict()
    own = load(path).to_dict()
    for config in (first, own):
        del config['source_domains'], config['target_domains']
        for name in ('train', 'val', 'test'):
            del config[f'{name}_dataloader']['dataset']['domains']
    assert own == first


def test_epic_states_the_released_hyper_parameters():
    config = load('mbcd/epic_d1.py')
    assert config.optim_wrapper.optimizer == dict(
        type='Adam', lr=1e-4, weight_decay=1e-4)
    assert config.train_dataloader.batch_size == 16
    assert config.train_cfg.max_epochs == 20
    assert 'param_scheduler' not in config
    consistency, teacher = config.custom_hooks
    assert consistency.inner_lr == 1e-4
    assert (teacher.ema_decay, teacher.distill_weight) == (0.999, 1.0)


@pytest.mark.parametrize('method', ['mbcd', 'erm', 'ema'])
def test_mini_models_build(method):
    init_default_scope('mmaction')
    model = MODELS.build(load(f'{method}/mini_d1.py').model)
    assert list(model.branches) == ['video', 'flow', 'audio']
    assert (model.modality_dropout is not None) == (method == 'mbcd')


def test_methods_share_all_but_the_method():
    """Same weights, data, schedule and selection for each method."""
    for data in ('mini', 'epic'):
        configs = [load(f'{m}/{data}_d1.py').to_dict()
                   for m in ('mbcd', 'erm', 'ema')]
        for config in configs:
            config.pop('custom_hooks', None)
            config['model'].pop('modality_dropout', None)
            config['model'].pop('unimodal_loss_weight', None)
        assert configs[0] == configs[1] == configs[2]
