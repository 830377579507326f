"""What tools/train.py and tools/test.py share: MMAction2's flags, merged."""
import argparse
import copy
import os
import sys
from collections.abc import Callable, Sequence

import torch
from mmaction.registry import RUNNERS
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.runner import Runner

from .modalities import follow_modalities
from .preflight import check_datasets, warn_of_seen_targets

_OPTIONS_HELP = (
    'override some settings in the used config, the key-value pair in xxx=yyy '
    'format will be merged into config file. If the value to be overwritten '
    'is a list, it should be like key="[a,b]" or key=a,b. It also allows '
    'nested list/tuple values, e.g. key="[(a,b),(c,d)]". Note that the '
    'quotation marks are necessary and that no white space is allowed.')


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that training and testing have in common.

    Args:
        parser (argparse.ArgumentParser): The tool's parser, changed in place.
    """
    parser.add_argument('--work-dir',
                        help='the dir to save logs, models and metrics')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=_OPTIONS_HELP)
    parser.add_argument('--launcher',
                        choices=['none', 'pytorch', 'slurm', 'mpi'],
                        default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def merge_common_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge launcher, work dir and ``--cfg-options``, in the host's order.

    The work dir is, in this order: the flag's, the config's,
    ``./work_dirs/<name of the config file>``. Datasets then follow
    ``model.modalities``, see :func:`follow_modalities`.

    Args:
        cfg (Config): The config as read; not changed.
        args (argparse.Namespace): The parsed flags.

    Raises:
        ValueError: ``--cfg-options`` leave a training dataset without a
            modality of the model.
    """
    cfg = copy.deepcopy(cfg)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir', None) is None:
        name = os.path.splitext(os.path.basename(args.config))[0]
        cfg.work_dir = os.path.join('./work_dirs', name)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    return follow_modalities(cfg, args.cfg_options)


def use_mixed_precision(cfg: Config) -> Config:
    """Choose the wrapper that ``--amp`` means on this machine.

    MMEngine's AmpOptimWrapper (float16 with a loss scaler) on an accelerator,
    :class:`~mbcd_mmaction.engine.CPUAmpOptimWrapper` (bfloat16) without one.

    Args:
        cfg (Config): The config; not changed.

    Raises:
        ValueError: the config uses another optimizer wrapper.
    """
    cfg = copy.deepcopy(cfg)
    wrapper = cfg.optim_wrapper
    known = ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper')
    if wrapper.get('type', 'OptimWrapper') not in known:
        raise ValueError('--amp expects optim_wrapper.type to be one of '
                         f'{known}, got {wrapper.type!r}')
    if get_device() == 'cpu':
        wrapper.type = 'CPUAmpOptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
    else:
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def merge_randomness(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge ``--seed``, ``--diff-rank-seed`` and ``--deterministic``.

    MMAction2 ignores these flags where the config sets ``randomness``; here
    a flag that was given wins over the config, and one that was not leaves
    the config alone.

    Args:
        cfg (Config): The config; not changed.
        args (argparse.Namespace): The parsed flags.
    """
    cfg = copy.deepcopy(cfg)
    randomness = dict(seed=None, diff_rank_seed=False, deterministic=False)
    randomness.update(cfg.get('randomness', None) or {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    for flag in ('diff_rank_seed', 'deterministic'):
        randomness[flag] = randomness[flag] or getattr(args, flag)
    cfg.randomness = randomness
    return cfg


def merge_train_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge the flags of tools/train.py into a config.

    Args:
        cfg (Config): The config as read; not changed.
        args (argparse.Namespace): The parsed flags.

    Raises:
        ValueError: ``--amp`` with an optimizer wrapper that it cannot
            replace, or ``--auto-scale-lr`` without ``auto_scale_lr``.
    """
    cfg = merge_randomness(cfg, args)
    if args.amp:
        cfg = use_mixed_precision(cfg)
    if args.resume == 'auto':
        cfg.resume, cfg.load_from = True, None
    elif args.resume is not None:
        cfg.resume, cfg.load_from = True, args.resume
    if args.auto_scale_lr:
        if cfg.get('auto_scale_lr', None) is None:
            raise ValueError(
                '--auto-scale-lr expects the config to have auto_scale_lr = '
                'dict(enable=False, base_batch_size=N), got none')
        cfg.auto_scale_lr.enable = True
    cfg = merge_common_args(cfg, args)
    if args.no_validate:  # last: --cfg-options may name val_dataloader
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


def merge_test_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Merge the flags of tools/test.py into a config.

    Args:
        cfg (Config): The config as read; not changed.
        args (argparse.Namespace): The parsed flags.

    Raises:
        ValueError: ``--dump`` to something other than a pickle file, or
            ``--show`` with a config that has no visualization hook.
    """
    cfg = copy.deepcopy(cfg)
    if args.show or args.show_dir is not None:
        if 'visualization' not in cfg.default_hooks:
            raise ValueError(
                '--show and --show-dir expect default_hooks to have '
                "visualization=dict(type='VisualizationHook'), got "
                f'{sorted(cfg.default_hooks)}')
        cfg.default_hooks.visualization.update(
            enable=True, show=args.show, wait_time=args.wait_time,
            out_dir=args.show_dir, interval=args.interval)
    if args.dump is not None:
        if not args.dump.endswith(('.pkl', '.pickle')):
            raise ValueError('--dump expects a name that ends in .pkl or '
                             f'.pickle, got {args.dump!r}')
        evaluators = cfg.test_evaluator
        if not isinstance(evaluators, (list, tuple)):
            evaluators = [evaluators]
        cfg.test_evaluator = [
            *evaluators,
            dict(type='DumpResults', out_file_path=args.dump)
        ]
    cfg = merge_common_args(cfg, args)
    cfg.load_from = args.checkpoint
    return cfg


def prepare_cpu_processes(cfg: Config) -> Config:
    """Let several processes train or test without a GPU.

    MMEngine's set-up asks for a CUDA device even for gloo, and gives
    DistributedDataParallel device ids that CPU modules must not have. A
    process group that exists already it leaves alone, so gloo is started
    here. With a GPU, or without a launcher, nothing happens.

    Args:
        cfg (Config): A config with ``launcher`` set; not changed.

    Raises:
        ValueError: a launcher other than 'pytorch', without a GPU.
    """
    if cfg.launcher == 'none' or get_device() != 'cpu':
        return cfg
    if cfg.launcher != 'pytorch':
        raise ValueError(
            f'without a GPU, expected the launcher none or pytorch, got '
            f'{cfg.launcher!r}; tools/dist_train.sh uses pytorch')
    cfg = copy.deepcopy(cfg)
    torch.distributed.init_process_group('gloo')
    wrapper = cfg.get('model_wrapper_cfg', None)
    if wrapper is None:
        wrapper = dict(
            type='MMDistributedDataParallel', broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, MMEngine's by default.

    Args:
        cfg (Config): The merged config.
    """
    cfg = prepare_cpu_processes(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def run_tool(cfg: Config, splits: Sequence[str],
             action: Callable[[Runner], object]) -> int:
    """Check the datasets, build the runner and have it do its work.

    Args:
        cfg (Config): The merged config.
        splits (Sequence[str]): Datasets to check before anything is built.
        action (Callable): Called with the runner.

    Returns:
        int: the process's exit status: 1 where media are absent, with the
        reason on stderr, otherwise 0.
    """
    try:
        check_datasets(cfg, splits)
    except FileNotFoundError as error:
        if os.environ.get('RANK', '0') == '0':
            print(error, file=sys.stderr)
        return 1
    runner = build_runner(cfg)
    warn_of_seen_targets(cfg)  # now there is a log for it to stand in
    action(runner)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return 0
