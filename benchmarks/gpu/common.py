"""What the sections share: settings, models, a step, and clocks."""
import copy
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmaction.utils import register_all_modules
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import mbcd_mmaction  # noqa: F401  registers
from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher

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
                dropout: float | None = None, **options) -> nn.Module:
    """One method's model, with random weights, on the device.

    Its BatchNorm statistics are those of one random batch: at their initial
    values a deep random network in eval mode overflows half precision.

    Args:
        setting (Setting): Device and size.
        method (str): A key of ``METHODS``.
        dropout (float, optional): See ``model_config``.
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


class ScaledOnCPU(OptimWrapper):
    """What ``AmpOptimWrapper`` does, which refuses to start without a GPU.

    For trials of the checks; not a way to train.
    """

    def __init__(self, dtype: torch.dtype, loss_scale: dict, **kwargs):
        super().__init__(**kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', **loss_scale)
        self.dtype = dtype

    def backward(self, loss: Tensor, **kwargs) -> None:
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs) -> None:
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), torch.autocast(
                'cpu', dtype=self.dtype):
            yield


def make_optim_wrapper(setting: Setting, model: nn.Module, precision: str,
                       loss_scale: dict | None = None) -> OptimWrapper:
    """The configs' Adam, wrapped as users do for a precision.

    Args:
        setting (Setting): Device.
        model (nn.Module): Of which the trainable parameters are taken.
        precision (str): 'fp32', 'tf32', 'bf16' or 'fp16'.
        loss_scale (dict, optional): Arguments of the GradScaler.
    """
    cfg = Config.fromfile(CONFIGS / '_base_/schedules/adam_20e.py')
    if precision in ('fp32', 'tf32'):
        return build_optim_wrapper(model, cfg.optim_wrapper)
    name = dict(bf16='bfloat16', fp16='float16')[precision]
    if setting.cuda:
        return build_optim_wrapper(model, dict(
            cfg.optim_wrapper, type=AmpOptimWrapper, dtype=name,
            loss_scale=loss_scale or 'dynamic'))
    plain = build_optim_wrapper(model, cfg.optim_wrapper)
    return ScaledOnCPU(getattr(torch, name), loss_scale or {},
                       optimizer=plain.optimizer)


class Trainer:
    """One method's training step, with what its hooks put into the model.

    Args:
        setting (Setting): Device.
        model (nn.Module): The recognizer, on the device.
        method (str): A key of ``METHODS``.
        precision (str): See ``make_optim_wrapper``.
        loss_scale (dict, optional): Arguments of the GradScaler.
        inner_lr (float): Of the look-ahead. Defaults to the configs' 1e-4.
        wrap (Callable, optional): Wraps the model, e.g. into DDP.
    """

    def __init__(self, setting: Setting, model: nn.Module,
                 method: str = 'MBCD frozen', precision: str = 'fp32',
                 loss_scale: dict | None = None, inner_lr: float = 1e-4,
                 wrap: Callable[[nn.Module], nn.Module] | None = None):
        self.model = model.train()
        self.optim_wrapper = make_optim_wrapper(setting, model, precision,
                                                loss_scale)
        self.scaler = getattr(self.optim_wrapper, 'loss_scaler', None)
        self.teacher: WeightAverageTeacher | None = None
        model.lookahead = model.distiller = None
        if METHODS[method][1]:
            self.teacher = WeightAverageTeacher(model)
            model.lookahead = LookAhead(inner_lr, loss_scale=self._scale)
            model.distiller = Distiller(self.teacher.module.fused_prob, 1.0)
        self.wrapped = wrap(model) if wrap else model

    def _scale(self) -> float:
        """As GradientConsistencyHook reads it."""
        return float(self.scaler.get_scale()) if self.scaler else 1.0

    def step(self, data: dict) -> dict[str, Tensor]:
        """Forward, backward, optimizer and average; the logged values."""
        log = self.wrapped.train_step(data, self.optim_wrapper)
        if self.teacher is not None:
            self.teacher.update_parameters(self.model)
        return log

    def close(self) -> None:
        """Take teacher and slots off the model."""
        self.model.lookahead = self.model.distiller = None
        self.teacher = None


@contextmanager
def math_mode(precision: str) -> Iterator[None]:
    """TensorFloat-32 on for 'tf32', off for 'fp32', else as PyTorch has it.

    PyTorch's own default is on for convolutions and off for products.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    if precision in ('fp32', 'tf32'):
        cudnn.allow_tf32 = matmul.allow_tf32 = precision == 'tf32'
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def seconds(setting: Setting, call: Callable[[], object]) -> float:
    """Duration of one call: CUDA events on a GPU, else the wall clock."""
    if not setting.cuda:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    torch.cuda.synchronize()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 1e3


def interleaved(setting: Setting, calls: Mapping[str, Callable[[], object]],
                rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each round, one round after another."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(setting, call))
    return times


def quartiles(values: list[float]) -> dict[str, float]:
    """Lower quartile, median and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return dict(q1=float(low), median=float(middle), q3=float(high))


def peak_gib(setting: Setting, call: Callable[[], object]) -> float | None:
    """GiB allocated at the worst moment of a call, beyond those before it;
    None where there is no GPU."""
    if not setting.cuda:
        call()
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**30


def state_copy(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers, copied."""
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


def largest_difference(a: Mapping[str, Tensor],
                       b: Mapping[str, Tensor]) -> float:
    """The largest absolute difference of equally named tensors."""
    return max(float((a[n].double() - b[n].double()).abs().max()) for n in a
               if a[n].numel())


def relative_error(found: Mapping[str, Tensor],
                   expected: Mapping[str, Tensor]) -> float:
    """|found - expected| / |expected| over all named tensors; nan stays."""
    gap = sum(float((found[n].double() - expected[n].double()).square().sum())
              for n in expected)
    size = sum(float(expected[n].double().square().sum()) for n in expected)
    return (gap / size)**.5


def all_finite(model: nn.Module) -> bool:
    """Whether no parameter and no buffer holds nan or infinity."""
    return all(bool(t.isfinite().all()) for t in model.state_dict().values()
               if t.is_floating_point())


def fresh(model: nn.Module) -> nn.Module:
    """A copy with its own weights, and no slot of a hook."""
    clone = copy.deepcopy(model)
    clone.lookahead = clone.distiller = None
    return clone


@contextmanager
def one_process_group(setting: Setting) -> Iterator[str]:
    """A process group of this process alone: NCCL on a GPU, else gloo."""
    dist = torch.distributed
    backend = 'nccl' if setting.cuda else 'gloo'
    if not dist.is_available():
        raise NotAvailable('this PyTorch has no torch.distributed')
    setting.folder.mkdir(parents=True, exist_ok=True)
    meeting = setting.folder.resolve() / f'meet_{os.getpid()}'
    dist.init_process_group(backend, f'file://{meeting}', rank=0,
                            world_size=1)
    try:
        yield backend
    finally:
        dist.destroy_process_group()
        meeting.unlink(missing_ok=True)
