"""Whole trainings as the runs of a figure: their logs, all checkpoints."""
import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .figure import portable
from .trained import build_loader, load_trained, predict, read_config

__all__ = [
    'Training', 'epoch_checkpoints', 'parse_log', 'parse_training',
    'target_by_epoch'
]


@dataclass(frozen=True)
class Training:
    """One training of a figure.

    Attributes:
        name (str): What the figure calls it.
        work_dir (str): What ``--work-dir`` of tools/train.py was.
        config (str): Path of its config, '' where only its log is read.
    """
    name: str
    work_dir: str
    config: str = ''

    def describe(self) -> dict[str, Any]:
        """For the JSON: no folder of this machine."""
        return dict(config=portable(self.config) if self.config else None,
                    work_dir=Path(self.work_dir).name)


def parse_log(text: str) -> Training:
    """Read ``NAME=WORK_DIR``.

    Raises:
        argparse.ArgumentTypeError: It reads otherwise, or there is no such
            folder.
    """
    name, _, work_dir = text.partition('=')
    return _checked(Training(name, work_dir), 'NAME=WORK_DIR', text)


def parse_training(text: str) -> Training:
    """Read ``NAME=CONFIG:WORK_DIR``.

    Raises:
        argparse.ArgumentTypeError: It reads otherwise, or there is no such
            folder.
    """
    name, _, rest = text.partition('=')
    config, _, work_dir = rest.partition(':')
    return _checked(Training(name, work_dir, config) if config else
                    Training('', ''), 'NAME=CONFIG:WORK_DIR', text)


def _checked(training: Training, form: str, text: str) -> Training:
    """The training, if nothing is missing."""
    if not (training.name and training.work_dir):
        raise argparse.ArgumentTypeError(f'expected {form}, got {text!r}')
    if not Path(training.work_dir).is_dir():
        raise argparse.ArgumentTypeError(
            f'{training.name}: expected the work directory of a training, '
            f'found none at {training.work_dir}')
    return training


def epoch_checkpoints(work_dir: str | Path) -> dict[int, Path]:
    """The checkpoints ``epoch_<n>.pth`` of a training by their epoch.

    Raises:
        FileNotFoundError: There are none.
    """
    found = {}
    for path in Path(work_dir).glob('epoch_*.pth'):
        match = re.fullmatch(r'epoch_(\d+)\.pth', path.name)
        if match:
            found[int(match[1])] = path
    if not found:
        raise FileNotFoundError(
            f'expected checkpoints epoch_<n>.pth in {work_dir}, found none; '
            'tools/train.py keeps the last, and all with --cfg-options '
            'default_hooks.checkpoint.max_keep_ckpts=-1')
    return dict(sorted(found.items()))


def target_by_epoch(training: Training, options: Mapping | None = None,
                    split: str = 'test', max_clips: int | None = None
                    ) -> Iterator[tuple[int, dict[str, float]]]:
    """Test every checkpoint of a training that was kept, after the training.

    This is for looking at a training alone. No epoch may be chosen by it:
    in-domain selection sees the sources' validation only.

    Args:
        training (Training): With its config.
        options (Mapping, optional): ``--cfg-options`` by dotted name.
        split (str): Defaults to 'test', the target.
        max_clips (int, optional): As for :func:`build_loader`.

    Yields:
        tuple: The epoch, and top-1 in [0, 1] of 'fused' and each modality,
        by the averaged model where there is one.
    """
    cfg = read_config(training.config, options)
    checkpoints = epoch_checkpoints(training.work_dir)
    loader = build_loader(cfg, split, max_clips)
    for epoch, checkpoint in checkpoints.items():
        yield epoch, predict(load_trained(cfg, checkpoint), loader).top1()
