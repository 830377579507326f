"""What stands in a checkpoint, in bytes, and the seconds to save and load it.

One step of the config's experiment on random clips of small size (the
weights' sizes do not depend on it), then the Runner's own save. The seconds
are medians over the rounds, with the files in the operating system's cache.
"""
import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset

ROOT = Path(__file__).resolve().parents[1]
SHAPES = dict(video=(1, 3, 32, 64, 64), flow=(1, 2, 8, 64, 64),
              audio=(1, 1, 257, 200))
PARTS = ('state_dict', 'ema_state_dict', 'optimizer')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--config', type=Path,
                        default=ROOT / 'configs/mbcd/epic_d1.py')
    parser.add_argument('--rounds', type=int, default=3)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print a line a part; returns the figures."""
    with tempfile.TemporaryDirectory() as folder:
        runner = trained_runner(args.config, folder)
        path = Path(folder) / 'checkpoint.pth'
        saved = [seconds(lambda: runner.save_checkpoint(
            folder, path.name, save_param_scheduler=False))
            for _ in range(args.rounds)]
        loaded = [seconds(lambda: torch.load(path, weights_only=False,
                                             map_location='cpu'))
                  for _ in range(args.rounds)]
        figures = contents(torch.load(path, weights_only=False,
                                      map_location='cpu'))
        figures.update(file_bytes=path.stat().st_size,
                       save_s=quartiles(saved), load_s=quartiles(loaded))
    print(f'{"":20}{"tensors":>9}{"MB":>9}')
    for name in PARTS:
        part = figures[name]
        print(f'{name:20}{part["tensors"]:9}{part["bytes"] / 1e6:9.1f}')
    twice = figures['stored_twice']
    print(f'{"stored twice":20}{twice["tensors"]:9}'
          f'{twice["bytes"] / 1e6:9.1f}')
    print(f'{"file":20}{"":9}{figures["file_bytes"] / 1e6:9.1f}')
    for name in ('save_s', 'load_s'):
        low, middle, high = figures[name]
        print(f'{name[:-2]}: {middle:.2f} s ({low:.2f}-{high:.2f})')
    return figures


def contents(checkpoint: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Tensors and bytes of each part of a checkpoint.

    Args:
        checkpoint (dict): As the Runner saves it.

    Returns:
        dict: ``tensors`` and ``bytes`` of each part, and of
        ``stored_twice``: those of ``ema_state_dict`` that equal what
        ``state_dict`` has under the same name, but for 'module.'.
    """
    figures = {name: count(tensors_of(checkpoint.get(name, {})))
               for name in PARTS}
    teacher = checkpoint['state_dict']
    student = checkpoint.get('ema_state_dict', {})
    figures['stored_twice'] = count([
        tensor for name, tensor in student.items()
        if name.removeprefix('module.') in teacher
        and torch.equal(tensor, teacher[name.removeprefix('module.')])])
    return figures


def count(tensors: list[Tensor]) -> dict[str, int]:
    return dict(tensors=len(tensors),
                bytes=sum(t.numel() * t.element_size() for t in tensors))


def tensors_of(value: Any) -> list[Tensor]:
    """All tensors within dicts and lists."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for part in value for tensor in tensors_of(part)]


@DATASETS.register_module(force=True)
class RandomClips(Dataset):
    """Two clips of noise."""

    metainfo = dict(classes=list('abcdefgh'))

    def __init__(self, modalities: list[str]) -> None:
        self.modalities = modalities

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        inputs = {
            name: torch.randn(SHAPES[name]) if name == 'audio' else
            torch.randint(0, 256, SHAPES[name], dtype=torch.uint8)
            for name in self.modalities
        }
        sample = ActionDataSample().set_gt_label(index)
        sample.set_metainfo(dict(domain='D1'))
        return dict(inputs=inputs, data_samples=sample)


def trained_runner(path: Path, folder: str) -> Runner:
    """The Runner of a config after one step, weights as drawn."""
    config = Config.fromfile(str(path))
    for branch in config.model.branches.values():
        branch.checkpoint = None
    for part in ('val', 'test'):
        for name in ('dataloader', 'cfg', 'evaluator'):
            config.pop(f'{part}_{name}', None)
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    config.default_hooks = dict(checkpoint=None)
    config.custom_hooks = [
        hook for hook in config.custom_hooks
        if hook.type in ('GradientConsistencyHook', 'WATeacherDistillHook')]
    config.param_scheduler = None
    config.work_dir, config.log_level = folder, 'ERROR'
    clips = dict(type='RandomClips', modalities=list(config.model.branches))
    config.train_dataloader = dict(
        batch_size=2, num_workers=0, dataset=clips,
        sampler=dict(type='DefaultSampler', shuffle=False))
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def seconds(call) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def quartiles(values: list[float]) -> list[float]:
    return np.percentile(values, [25, 50, 75]).tolist()
