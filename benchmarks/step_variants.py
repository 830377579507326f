"""The steps that benchmarks/step.py compares, built from the shipped configs.

Helper of benchmarks/step.py. Each variant is a model on random weights, its
optimizer, and ``step``: forward, backward, optimizer, average.
"""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from unittest.mock import patch

import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from step_released import ReleasedStep
from torch import Tensor

from mbcd_mmaction.models import (
    Distiller,
    LookAhead,
    WeightAverageTeacher,
)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SIZES = dict(full='slowfast-r101_slowonly-r50_resnet18', tiny='mini')
# Variant: the config whose method it is, and what differs from it.
VARIANTS = {
    'erm': ('erm', dict(trunk_norm='batch')),
    'erm-frozen': ('erm', dict(trunk_norm='frozen')),
    'frozen': ('mbcd', dict(trunk_norm='frozen')),
    'batch': ('mbcd_released', dict(trunk_norm='batch')),
    'released': ('mbcd_released', dict(trunk_norm='batch')),
}


class Batch:
    """Inputs as they leave the data preprocessor, and labels.

    Args:
        modalities (Sequence[str]): Of video, flow and audio.
        size (int): Pixels of a side of the frames.
        samples (int): N.
        device (str): 'cpu', 'cuda' or 'meta'.
    """

    def __init__(self, modalities: Sequence[str], size: int, samples: int,
                 device: str) -> None:
        shapes = dict(video=(3, 32, size, size), flow=(2, 8, size, size),
                      audio=(1, 257, 1004))
        self.inputs = {
            m: torch.randn(samples, 1, *shapes[m], device=device)
            for m in modalities
        }
        self.labels = torch.zeros(samples, dtype=torch.long, device=device)
        self.labels[samples // 2:] = 1
        self.data_samples = [
            ActionDataSample(gt_label=label) for label in
            self.labels.split(1)
        ]

    def tensors(self) -> list[Tensor]:
        """All of them."""
        return [*self.inputs.values(), self.labels]


def model_config(variant: str, modalities: Sequence[str], size: str = 'full',
                 **options) -> tuple[dict, dict[str, dict]]:
    """The recognizer of a variant, and the arguments of its hooks by type."""
    folder, differs = VARIANTS[variant]
    config = Config.fromfile(CONFIGS / folder / 'epic_d1.py')
    base = Config.fromfile(CONFIGS / f'_base_/models/{SIZES[size]}.py').model
    method = {k: v for k, v in config.model.items()
              if k not in {*base, 'branches'}}
    branches = {}
    for m in modalities:
        branches[m] = {k: v for k, v in base.branches[m].items()
                       if k not in ('checkpoint', 'trunk_stages')}
    model = {**base, **method, **differs, **options, 'branches': branches,
             'modalities': list(modalities)}
    model.pop('data_preprocessor')
    hooks = {hook['type']: {k: v for k, v in hook.items() if k != 'type'}
             for hook in config.get('custom_hooks', ())}
    adam = {k: v for k, v in config.optim_wrapper.optimizer.items()
            if k != 'type'}
    adam.pop('fused', None)
    return model, dict(hooks, Adam=adam)


class Variant:
    """One way to train a step.

    Args:
        name (str): A key of VARIANTS.
        modalities (Sequence[str]): Of video, flow and audio.
        size (str): 'full' or 'tiny' (narrow and shallow networks).
        device (str): 'cpu', 'cuda' or 'meta'.
        early (bool, optional): The recognizer's ``release_early``; None
            leaves its default.
        perturb (bool): Whether DSU stays where the config has it.
    """

    def __init__(self, name: str, modalities: Sequence[str],
                 size: str = 'full', device: str = 'cpu',
                 early: bool | None = None, perturb: bool = True) -> None:
        options = {} if early is None else dict(release_early=early)
        if not perturb:
            options['feature_perturbation'] = None
        config, hooks = model_config(name, modalities, size, **options)
        if device == 'meta' and config.get('feature_perturbation'):
            # counted at its dearest: every call perturbs
            config['feature_perturbation'] = dict(
                config['feature_perturbation'], prob=1.0)
        torch.manual_seed(0)
        with torch.device(device):
            self.model = MODELS.build(config)
        self.model.train()
        self.name = name
        self.device = device
        # fused: one kernel for all tensors, where the device has it
        self.fused = device != 'meta' and name != 'released'
        adam = hooks.pop('Adam')
        if name == 'released':
            self._take_released(config, hooks, adam)
        else:
            self._take_ours(hooks, adam)
        self.trunk_calls = dict.fromkeys(modalities, 0)
        for net in self.networks:
            for m, branch in net.branches.items():
                stem = getattr(branch.backbone, 'slow_path', branch.backbone)
                stem.conv1.register_forward_hook(_Count(self.trunk_calls, m))

    def step(self, batch: Batch, phase: Callable = nullcontext) -> float:
        """One step; returns the loss (nan on the meta device)."""
        if self.name == 'released':
            views = {m: x.flatten(0, 1) for m, x in batch.inputs.items()}
            losses = self.released(views, batch.labels, phase)
            total = sum(losses.values())
        else:
            total = self._step_ours(batch, phase).detach()
        return float('nan') if self.device == 'meta' else total.item()

    def tensors(self) -> list[Tensor]:
        """What lives between two steps."""
        state = [x for entry in self.optimizer.state.values()
                 for x in entry.values() if isinstance(x, Tensor)]
        return state + [x for net in self.networks
                        for x in (*net.parameters(), *net.buffers())]

    def _take_released(self, config: dict, hooks: dict, adam: dict) -> None:
        teacher = hooks['WATeacherDistillHook']
        weights = teacher['distill_weight']
        if len({*weights.values()}) != 1 or (
                config['modality_dropout'].get('base_drop_prob', 0)):
            raise ValueError('the plain step takes one distill_weight and '
                             'base_drop_prob=0, see configs/mbcd_released')
        self.released = ReleasedStep(
            self.model, lambda p: torch.optim.Adam(p, **adam),
            inner_lr=hooks['GradientConsistencyHook']['inner_lr'],
            ema_decay=teacher['ema_decay'],
            distill_weight=weights['fused'],
            perturb_prob=(config['feature_perturbation'] or {}).get('prob', 0))
        del self.model
        self.optimizer = self.released.optimizer
        self.networks = [self.released.student, self.released.teacher]

    def _take_ours(self, hooks: dict, adam: dict) -> None:
        model = self.model
        self.teacher = None
        self.networks = [model]
        self._phase: Callable = nullcontext
        if 'WATeacherDistillHook' in hooks:
            options = hooks['WATeacherDistillHook']
            self.teacher = WeightAverageTeacher(
                model, ema_decay=options['ema_decay'])
            self.networks.append(self.teacher.module)
            model.distiller = Distiller(
                self._within('teacher', self.teacher.module.fused_prob),
                options.get('distill_weight', 1.0))
            for branch in self.teacher.module.branches.values():
                branch.trunk = self._within('teacher trunk', branch.trunk)
        if 'GradientConsistencyHook' in hooks:
            slot = LookAhead(hooks['GradientConsistencyHook']['inner_lr'])
            for name in ('fast_weights', 'step'):
                if hasattr(slot, name):
                    setattr(slot, name, self._within('inner gradient',
                                                     getattr(slot, name)))
            model.lookahead = slot
        for branch in model.branches.values():
            branch.trunk = self._within('trunk', branch.trunk)
            branch.forward = self._passes(branch.forward)
        for head in model.unimodal_heads.values():
            head.forward = self._within('pass 1', head.forward)
        model.fusion_head.forward = self._within(
            'pass 2', model.fusion_head.forward)
        self.optimizer = torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad],
            fused=self.fused or None, **adam)

    def _step_ours(self, batch: Batch, phase: Callable) -> Tensor:
        self._phase = phase
        self._passes_begun: dict[object, int] = {}
        with phase('rest'), self._patched():
            losses = self.model(batch.inputs, batch.data_samples,
                                mode='loss')
            total, _ = self.model.parse_losses(losses)
        del losses
        with phase('backward'):
            total.backward()
        with phase('optimizer'):
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.teacher is not None:
            with phase('average'):
                self.teacher.update_parameters(self.model)
        return total

    def _within(self, name: str, call: Callable) -> Callable:
        @wraps(call)
        def timed(*args, **kwargs):
            with self._phase(name):
                return call(*args, **kwargs)

        return timed

    def _passes(self, forward: Callable) -> Callable:
        """The first call of a branch in a step is pass 1."""
        @wraps(forward)
        def timed(*args, **kwargs):
            begun = self._passes_begun.get(forward, 0)
            self._passes_begun[forward] = begun + 1
            with self._phase(f'pass {begun + 1}'):
                return forward(*args, **kwargs)

        return timed

    @contextmanager
    def _patched(self) -> Iterator[None]:
        """Time gradients taken inside the forward pass.

        Where the graph is kept, it is the inner one.
        """
        grad = torch.autograd.grad

        def timed(*args, **kwargs):
            inner = kwargs.get('retain_graph')
            with self._phase('inner gradient' if inner else 'backward'):
                return grad(*args, **kwargs)

        with patch('torch.autograd.grad', timed):
            yield


class _Count:
    """A hook that counts a modality's trunk passes; copies share it."""

    def __init__(self, calls: dict[str, int], modality: str) -> None:
        self.calls, self.modality = calls, modality

    def __call__(self, *_) -> None:
        self.calls[self.modality] += 1

    def __deepcopy__(self, memo: dict) -> '_Count':
        return self
