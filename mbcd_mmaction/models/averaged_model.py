"""The teacher: a weight average that shares what is frozen."""
import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from ..functional import effective_decay, weight_average_

__all__ = ['WeightAverageTeacher', 'in_training']


@MODELS.register_module()
class WeightAverageTeacher(BaseAveragedModel):
    """Eq. 7 over the trainable part of a model; always in eval mode.

    Frozen parameters, and the buffers of modules that are frozen for good,
    are the student's own tensors: they cost no memory, no time and do not
    stand in the state dict.

    Args:
        model (nn.Module): The student, with its final ``requires_grad``.
        ema_decay (float): Weight on the past, [0, 1). Defaults to 0.999.
        warmup (bool): See :func:`~mbcd_mmaction.functional.effective_decay`.
            Defaults to False.
        update_buffers (bool): Average floating-point buffers (BatchNorm's
            running statistics) too; otherwise they are copied. Other
            buffers are always copied. Defaults to True.
        interval (int): Updates happen at every ``interval``-th call.
            Defaults to 1.
    """

    def __init__(self,
                 model: nn.Module,
                 ema_decay: float = 0.999,
                 warmup: bool = False,
                 update_buffers: bool = True,
                 interval: int = 1) -> None:
        nn.Module.__init__(self)
        effective_decay(ema_decay, 0)  # checks the range
        if interval < 1:
            raise ValueError(f'interval must be >= 1, got {interval}')
        self.ema_decay = ema_decay
        self.warmup = warmup
        self.update_buffers = update_buffers
        self.interval = interval
        self.register_buffer('steps', torch.tensor(0, dtype=torch.long))
        shared = _frozen_tensors(model)
        self.module = copy.deepcopy(
            model, {id(tensor): tensor for tensor in shared.values()})
        for name, param in self.module.named_parameters():
            if name not in shared:
                param.requires_grad_(False)
        self.shared_names = frozenset(shared)
        self.train(False)
        self._pairs: _Pairs | None = None

    def train(self, mode: bool = True) -> 'WeightAverageTeacher':
        """A teacher stays in eval mode."""
        return super().train(False)

    def avg_func(self, averaged_param: Tensor, source_param: Tensor,
                 steps: int) -> None:
        """Eq. 7 on one tensor, in place."""
        weight_average_([averaged_param], [source_param],
                        self.decay_at(steps))

    def update_parameters(self, model: nn.Module) -> None:
        """Eq. 7 on all tensors: one update after an optimizer step."""
        pairs = self.pair_with(model)
        step = int(self.steps)
        self.steps += 1
        if step % self.interval:
            return
        decay = self.decay_at(step // self.interval)
        for averaged, source in pairs.averaged.values():
            weight_average_(averaged, source, decay)
        for averaged, source in pairs.copied:
            averaged.data.copy_(source.data)

    def decay_at(self, step: int) -> float:
        """The weight on the past at the update after ``step`` others."""
        return effective_decay(self.ema_decay, step, self.warmup)

    def copy_from(self, model: nn.Module) -> None:
        """Make the teacher equal to the student."""
        pairs = self.pair_with(model)
        for averaged, source in pairs.averaged.values():
            weight_average_(averaged, source, 0.0)
        for averaged, source in pairs.copied:
            averaged.data.copy_(source.data)

    def swap_with(self, model: nn.Module) -> None:
        """Exchange weights with the student: pointers move, not numbers."""
        for averaged, source in self.pair_with(model).all():
            averaged.data, source.data = source.data, averaged.data

    def pair_with(self, model: nn.Module) -> '_Pairs':
        """The (teacher, student) tensors that differ, found once."""
        if self._pairs is None or self._pairs.model is not model:
            self._pairs = _Pairs(self, model)
        return self._pairs

    def state_dict(self, *args, **kwargs) -> dict[str, Tensor]:
        """The teacher's own tensors; shared ones are the student's."""
        state = super().state_dict(*args, **kwargs)
        prefix = kwargs.get('prefix', '') + 'module.'
        for name in self.shared_names:
            state.pop(prefix + name, None)
        return state

    def __deepcopy__(self, memo: dict) -> 'WeightAverageTeacher':
        # the pairs point at the student, which a copy must not drag along
        pairs, self._pairs = self._pairs, None
        try:
            clone = self.__class__.__new__(self.__class__)
            memo[id(self)] = clone
            clone.__dict__.update(copy.deepcopy(self.__dict__, memo))
        finally:
            self._pairs = pairs
        return clone


class _Pairs:
    """Tensors of teacher and student that are not shared.

    ``averaged`` groups (teacher list, student list) by device and dtype, as
    the fused update needs; ``copied`` pairs the rest.
    """

    def __init__(self, teacher: WeightAverageTeacher,
                 model: nn.Module) -> None:
        self.model = model
        self.averaged: dict[tuple, tuple[list[Tensor], list[Tensor]]] = {}
        self.copied: list[tuple[Tensor, Tensor]] = []
        buffers = {name for name, _ in model.named_buffers()}
        source = dict(model.named_parameters()) | dict(model.named_buffers())
        own = dict(teacher.module.named_parameters())
        own |= dict(teacher.module.named_buffers())
        for name, tensor in own.items():
            if name in teacher.shared_names:
                continue
            average = tensor.is_floating_point() and (
                teacher.update_buffers or name not in buffers)
            if not average:
                self.copied.append((tensor, source[name]))
                continue
            group = self.averaged.setdefault((tensor.device, tensor.dtype),
                                             ([], []))
            group[0].append(tensor)
            group[1].append(source[name])

    def all(self) -> list[tuple[Tensor, Tensor]]:
        """Every (teacher, student) pair."""
        pairs = list(self.copied)
        for averaged, source in self.averaged.values():
            pairs += zip(averaged, source, strict=True)
        return pairs


def _frozen_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Name to tensor for all that training will not change."""
    with in_training(model):
        frozen = {
            name: param for name, param in model.named_parameters()
            if not param.requires_grad
        }
        for prefix, module in model.named_modules():
            own = list(module.parameters(recurse=False))
            if module.training or not own or any(
                    p.requires_grad for p in own):
                continue
            for name, buffer in module.named_buffers(prefix, recurse=False):
                frozen[name] = buffer
    return frozen


@contextmanager
def in_training(model: nn.Module) -> Iterator[None]:
    """Put a model into train mode, to ask what stays in eval mode then.

    One that was validated first is in eval mode throughout.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
