"""What the sections share: settings, models and made-up clips."""
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmaction.utils import register_all_modules
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import mbcd_mmaction  # noqa: F401  registers

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
NUM_CLASSES = 8
# (S, C, ...) of one sample: the configs' sizes, and small ones for a trial.
SHAPES = dict(video=(1, 3, 32, 224, 224), flow=(1, 2, 8, 224, 224),
              audio=(1, 1, 257, 1004))
TINY_SHAPES = dict(video=(1, 3, 8, 32, 32), flow=(1, 2, 4, 32, 32),
                   audio=(1, 1, 32, 32))
# method: (trunk_norm, whether it is MBCD)
METHODS = {'ERM': ('batch', False), 'MBCD frozen': ('frozen', True),
           'MBCD batch': ('batch', True)}


@dataclass
class Setting:
    """How a section is to run.

    Attributes:
        device (torch.device): Where.
        tiny (bool): Narrow networks on small input, for a trial.
        folder (Path): Gets files beside the JSON, as traces.
        batch (int): Clips of a step.
        rounds (int): Interleaved rounds of what is timed.
        data_root (Path, optional): Where the loader's set lies or is made.
        deadline (float): On ``time.monotonic()``'s clock.
        save (Callable): Called with a section's data so far.
    """
    device: torch.device
    tiny: bool = False
    folder: Path = field(default_factory=Path.cwd)
    batch: int = 16
    rounds: int = 7
    data_root: Path | None = None
    deadline: float = float('inf')
    save: Callable[[dict], None] = lambda data: None

    @property
    def cuda(self) -> bool:
        """Whether it runs on a GPU."""
        return self.device.type == 'cuda'

    def late(self, needed: float = 0) -> bool:
        """Whether fewer seconds are left than ``needed``."""
        return time.monotonic() + needed > self.deadline


class NotAvailable(Exception):
    """Something cannot run here; the text says why."""


def model_config(tiny: bool, dropout: float | None = None) -> Config:
    """The configs' model without pretrained weights.

    Args:
        tiny (bool): The mini set's model, its trunk frozen as at full size.
        dropout (float, optional): Of all heads. Defaults to the heads' own.
    """
    name = 'mini' if tiny else 'slowfast-r101_slowonly-r50_resnet18'
    cfg = Config.fromfile(CONFIGS / f'_base_/models/{name}.py').model
    for branch in cfg.branches.values():
        branch.checkpoint = None
        branch.trunk_stages = None
    if tiny:
        narrow(cfg.branches)
    if dropout is not None:
        for head in ('unimodal_head', 'fusion_head'):
            cfg[head] = dict(cfg.get(head) or {}, dropout_ratio=dropout)
    return cfg


def narrow(branches: dict) -> None:
    """A quarter of the mini model's channels: half precision is slow on a
    CPU."""
    video = branches['video']['backbone']
    video['slow_pathway']['base_channels'] = 4
    video['fast_pathway']['base_channels'] = 1
    for name in ('flow', 'audio'):
        branches[name]['backbone']['base_channels'] = 4


def build_model(setting: Setting, method: str = 'MBCD frozen',
                dropout: float | None = None, settle: bool = True,
                **options) -> nn.Module:
    """One method's model, with random weights, on the device.

    Its BatchNorm statistics are those of one random batch: at their initial
    values a deep random network in eval mode overflows half precision.

    Args:
        setting (Setting): Device and size.
        method (str): A key of ``METHODS``.
        dropout (float, optional): See ``model_config``.
        settle (bool): Whether to set those statistics. Defaults to True.
        **options: More arguments of the recognizer.
    """
    register_all_modules()
    trunk_norm, is_mbcd = METHODS[method]
    cfg = model_config(setting.tiny, dropout)
    cfg.trunk_norm = trunk_norm
    if is_mbcd:
        cfg.modality_dropout = dict(type='AdaptiveModalityDropout')
    else:
        cfg.unimodal_loss_weight = 0.0
    cfg.update(options)
    torch.manual_seed(0)
    with torch.device(setting.device):
        model = MODELS.build(cfg)
    model.to(setting.device).train()
    if settle:
        settle_statistics(model, make_batch(setting, 2, seed=99))
    return model


def make_batch(setting: Setting, size: int | None = None,
               seed: int = 0) -> dict:
    """Random clips on the device, as the loader's collate gives them."""
    rng = np.random.default_rng(seed)
    shapes = TINY_SHAPES if setting.tiny else SHAPES
    size = size or setting.batch

    def clip(name: str, shape: tuple[int, ...]) -> Tensor:
        if name == 'audio':
            values = rng.standard_normal(shape, dtype=np.float32)
        else:
            values = rng.integers(0, 256, shape, dtype=np.uint8)
        return torch.from_numpy(values).to(setting.device)

    return dict(
        inputs={name: [clip(name, shape) for _ in range(size)]
                for name, shape in shapes.items()},
        data_samples=[ActionDataSample().set_gt_label(i % NUM_CLASSES)
                      for i in range(size)])


def settle_statistics(model: nn.Module, data: dict) -> None:
    """Give every BatchNorm the statistics of one batch; the modes stay."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    batch = model.data_preprocessor(data, True)
    with torch.no_grad():
        model(batch['inputs'], batch['data_samples'], mode='tensor')
    for norm, (mode, rate) in zip(norms, before, strict=True):
        norm.training, norm.momentum = mode, rate


def fresh(model: nn.Module) -> nn.Module:
    """A copy with its own weights, and no slot of a hook."""
    clone = copy.deepcopy(model)
    clone.lookahead = clone.distiller = None
    return clone
