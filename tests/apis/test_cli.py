"""How the tools' flags are merged into a config, without starting a tool."""
import argparse
import copy

import pytest
import torch
from mmengine.config import Config

from mbcd_mmaction.apis import cli

TRAIN = dict(config='configs/some_name.py', work_dir=None, cfg_options=None,
             launcher='none', local_rank=0, resume=None, amp=False,
             no_validate=False, auto_scale_lr=False, seed=None,
             diff_rank_seed=False, deterministic=False)
TEST = dict(config='configs/some_name.py', checkpoint='c.pth', work_dir=None,
            cfg_options=None, launcher='none', local_rank=0, dump=None,
            show=False, show_dir=None, interval=1, wait_time=2)


def train(cfg=None, **flags):
    """The merged config, and a check that the given one stayed as it was."""
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper'),
                      val_cfg=dict(type='ValLoop'), val_dataloader=dict(a=1),
                      val_evaluator=dict(type='M'), **(cfg or {})))
    before = copy.deepcopy(cfg)
    merged = cli.merge_train_args(cfg, argparse.Namespace(**TRAIN | flags))
    assert cfg.to_dict() == before.to_dict()
    return merged


def test(cfg=None, **flags):
    cfg = Config(dict(test_evaluator=dict(type='M'), **(cfg or {})))
    before = copy.deepcopy(cfg)
    merged = cli.merge_test_args(cfg, argparse.Namespace(**TEST | flags))
    assert cfg.to_dict() == before.to_dict()
    return merged


test.__test__ = False


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(cli, 'get_device', lambda: 'cpu')


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(cli, 'get_device', lambda: 'cuda')


@pytest.mark.parametrize(('in_config', 'flag', 'expected'), [
    (None, None, './work_dirs/some_name'),
    ('from_config', None, 'from_config'),
    ('from_config', 'from_flag', 'from_flag'),
])
def test_work_dir(in_config, flag, expected):
    cfg = {} if in_config is None else dict(work_dir=in_config)
    assert train(cfg, work_dir=flag).work_dir == expected
    assert test(cfg, work_dir=flag).work_dir == expected


def test_resume():
    stays = train(dict(load_from='a.pth', resume=False))
    assert (stays.resume, stays.load_from) == (False, 'a.pth')
    auto = train(dict(load_from='a.pth'), resume='auto')
    assert (auto.resume, auto.load_from) == (True, None)
    named = train(dict(load_from='a.pth'), resume='b.pth')
    assert (named.resume, named.load_from) == (True, 'b.pth')


def test_no_validate_stands_beside_options_of_the_val_loader():
    cfg = train(no_validate=True,
                cfg_options={'val_dataloader.num_workers': 0})
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None


def test_options_come_last():
    cfg = train(seed=1, cfg_options={'randomness.seed': 2, 'new.key': 3})
    assert cfg.randomness.seed == 2
    assert cfg.new.key == 3


@pytest.mark.parametrize(('in_config', 'seed', 'expected'), [
    (None, None, None), (None, 5, 5),
    (dict(seed=7), None, 7), (dict(seed=7), 5, 5), (dict(seed=7), 0, 0),
])
def test_a_given_seed_wins(in_config, seed, expected):
    cfg = {} if in_config is None else dict(randomness=in_config)
    merged = train(cfg, seed=seed).randomness
    assert merged == dict(seed=expected, diff_rank_seed=False,
                          deterministic=False)


def test_flags_do_not_switch_off_what_the_config_asks_for():
    cfg = dict(randomness=dict(seed=1, deterministic=True))
    assert train(cfg).randomness.deterministic is True
    assert train(cfg, diff_rank_seed=True).randomness == dict(
        seed=1, diff_rank_seed=True, deterministic=True)


def test_mixed_precision_without_accelerator(no_accelerator):
    wrapper = train(amp=True).optim_wrapper
    assert wrapper == dict(type='CPUAmpOptimWrapper')


def test_mixed_precision_drops_what_only_a_gpu_knows(no_accelerator):
    cfg = Config(dict(optim_wrapper=dict(
        type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16',
        accumulative_counts=2)))
    assert cli.use_mixed_precision(cfg).optim_wrapper == dict(
        type='CPUAmpOptimWrapper', accumulative_counts=2)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'


def test_mixed_precision_on_a_gpu(gpu):
    assert train(amp=True).optim_wrapper == dict(type='AmpOptimWrapper',
                                                 loss_scale='dynamic')


def test_mixed_precision_refuses_another_wrapper(no_accelerator):
    cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper')))
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        cli.use_mixed_precision(cfg)


def test_auto_scale_lr():
    cfg = dict(auto_scale_lr=dict(enable=False, base_batch_size=16))
    assert train(cfg).auto_scale_lr.enable is False
    assert train(cfg, auto_scale_lr=True).auto_scale_lr.enable is True
    with pytest.raises(ValueError, match='base_batch_size'):
        train(auto_scale_lr=True)


def test_dump_is_one_more_metric():
    dump = dict(type='DumpResults', out_file_path='p.pkl')
    assert test(dump='p.pkl').test_evaluator == [dict(type='M'), dump]
    with pytest.raises(ValueError, match=r"\.pkl.*'p\.json'"):
        test(dump='p.json')


def test_checkpoint_is_loaded():
    assert test(dict(load_from='other.pth')).load_from == 'c.pth'


def test_show():
    hooks = dict(default_hooks=dict(
        visualization=dict(type='VisualizationHook')))
    shown = test(hooks, show_dir='pictures', interval=3)
    assert shown.default_hooks.visualization == dict(
        type='VisualizationHook', enable=True, show=False, wait_time=2,
        out_dir='pictures', interval=3)
    with pytest.raises(ValueError, match='VisualizationHook'):
        test(dict(default_hooks=dict()), show=True)


class TestProcessesWithoutGpu:

    @pytest.fixture
    def started(self, monkeypatch):
        backends = []
        monkeypatch.setattr(torch.distributed, 'init_process_group',
                            backends.append)
        return backends

    def test_one_process(self, started, no_accelerator):
        cfg = Config(dict(launcher='none'))
        assert cli.prepare_cpu_processes(cfg) is cfg
        assert started == []

    def test_gpus_are_left_to_the_host(self, started, gpu):
        cfg = Config(dict(launcher='pytorch'))
        assert cli.prepare_cpu_processes(cfg) is cfg
        assert started == []

    def test_several(self, started, no_accelerator):
        cfg = Config(dict(launcher='pytorch', find_unused_parameters=True))
        merged = cli.prepare_cpu_processes(cfg)
        assert started == ['gloo']
        assert merged.model_wrapper_cfg == dict(
            type='MMDistributedDataParallel', device_ids=None,
            broadcast_buffers=False, find_unused_parameters=True)
        assert 'model_wrapper_cfg' not in cfg

    def test_a_wrapper_of_the_config_stays(self, started, no_accelerator):
        cfg = Config(dict(launcher='pytorch',
                          model_wrapper_cfg=dict(type='W', bucket_cap_mb=1)))
        assert cli.prepare_cpu_processes(cfg).model_wrapper_cfg == dict(
            type='W', bucket_cap_mb=1, device_ids=None)

    def test_slurm_wants_gpus(self, started, no_accelerator):
        with pytest.raises(ValueError, match='slurm'):
            cli.prepare_cpu_processes(Config(dict(launcher='slurm')))
