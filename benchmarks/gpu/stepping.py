"""A training step as the configs and hooks make it, and its processes."""
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from common import CONFIGS, METHODS, NotAvailable, Setting
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher


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
