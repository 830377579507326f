"""Eq. 8 on any classifier: the averaged model teaches its own heads."""
import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...functional import kl_divergence
from .tap import LossTap, Step

__all__ = ['ForeignDistiller', 'find_head']

HEADS = ('cls_head', 'head')


class ForeignDistiller:
    """Eq. 8 through a model's public forward.

    The teacher says ``forward(inputs, mode='tensor')``, with
    ``stage='head'`` where the model knows stages; the student's logits are
    caught at its head while it computes its losses. A head that answers
    with a dict (RGBPose: 'rgb', 'pose') has one branch for each entry, and
    the teacher's fused probabilities are the mean over its branches, as that
    model predicts; every branch learns from them.

    Args:
        model (nn.Module): The student, unwrapped.
        teacher (nn.Module): Its average, in eval mode.
        weight (float or dict): lambda of Eq. 9; a dict names the head's
            branches. See :class:`~mbcd_mmaction.models.slots.Distiller`.
        logits_from (str, optional): Name of the module that returns the
            logits. Defaults to None: ``cls_head`` or ``head``.

    Raises:
        TypeError: The model cannot be served; the text says why.
    """

    def __init__(self,
                 model: nn.Module,
                 teacher: nn.Module,
                 weight: float | Mapping[str, float],
                 logits_from: str | None = None) -> None:
        self.head = find_head(model, logits_from)
        self.teacher = teacher
        self.weight = weight
        self.ramp = 1.0
        self._stage = _stage_argument(model)
        self.tap = LossTap.of(model)
        self.tap.add(self)
        self.tap.watch(self.head)

    def __deepcopy__(self, memo: dict) -> 'ForeignDistiller':
        return self

    def detach(self) -> None:
        """Leave the model as it was found."""
        self.tap.remove(self)

    def __call__(self, step: Step) -> dict[str, Tensor]:
        """The weighted terms of Eq. 8, ``loss_distill`` or one a branch."""
        student = _branches(step.logits, 'the head in training')
        with torch.no_grad():
            said = self.teacher(step.inputs, mode='tensor', **self._stage)
        teacher = _branches(said, "forward(mode='tensor')")
        self._check(student, teacher)
        prob = torch.stack([x.softmax(1) for x in teacher.values()]).mean(0)
        return {
            f'loss_distill_{name}'.rstrip('_'):
            self.ramp * self.weight_of(name) * kl_divergence(prob, logits)
            for name, logits in student.items() if self.weight_of(name) > 0
        }

    def weight_of(self, name: str) -> float:
        """The weight of one branch; '' names an only one."""
        if isinstance(self.weight, Mapping):
            return self.weight.get(name or 'fused', 0.0)
        return self.weight

    def _check(self, student: dict[str, Tensor],
               teacher: dict[str, Tensor]) -> None:
        """Refuse answers of different shape, and weights for no branch."""
        shapes = [{name: tuple(x.shape) for name, x in logits.items()}
                  for logits in (student, teacher)]
        if shapes[0] != shapes[1]:
            raise TypeError(
                'WATeacherDistillHook: the head gave logits of '
                f"{shapes[0]} in training, forward(mode='tensor') of "
                f'{shapes[1]}; expected the same (N, K). Name the module '
                'that returns the logits by logits_from=...')
        if isinstance(self.weight, Mapping):
            known = {name or 'fused' for name in student}
            unknown = self.weight.keys() - known
            if unknown:
                raise ValueError(f'distill_weight names {sorted(unknown)}: '
                                 f'expected some of {sorted(known)}')


def find_head(model: nn.Module, name: str | None = None) -> nn.Module:
    """The module whose output are the logits.

    Args:
        model (nn.Module): The student.
        name (str, optional): Its name. Defaults to None: ``cls_head`` or
            ``head``.

    Raises:
        TypeError: There is none, or it is no single-label classifier.
    """
    modules = dict(model.named_modules())
    candidates = (name, ) if name else HEADS
    found = [modules[key] for key in candidates if key in modules]
    if not found:
        raise TypeError(
            f'WATeacherDistillHook distils class logits: expected '
            f'{type(model).__name__} to have the module '
            f'{" or ".join(map(repr, candidates))}, it has '
            f'{[key for key, _ in model.named_children()]}. Name the module '
            'that returns (N, K) logits by logits_from=..., or set '
            'distill_weight=0 to average the weights alone')
    head = found[0]
    if getattr(head, 'multi_class', False):
        raise TypeError(
            f'{type(head).__name__} has multi_class=True: Eq. 8 compares '
            'softmax probabilities of one label a clip, not of several. '
            'distill_weight=0 averages the weights alone')
    return head


def _stage_argument(model: nn.Module) -> dict[str, str]:
    """What asks this model's forward for logits rather than features."""
    parameters = inspect.signature(model.forward).parameters
    if 'mode' not in parameters:
        raise TypeError(
            f'{type(model).__name__}.forward has no argument `mode`: '
            'expected a model of the OpenMMLab convention, forward(inputs, '
            f"data_samples, mode='tensor'), got {list(parameters)}")
    takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return dict(stage='head') if takes_more or 'stage' in parameters else {}


def _branches(logits: object, source: str) -> dict[str, Tensor]:
    """Logits (N, K) by the name of their branch, '' for an only one."""
    named = logits if isinstance(logits, dict) else {'': logits}
    for name, value in named.items():
        if not isinstance(value, Tensor) or value.ndim != 2:
            got = (tuple(value.shape) if isinstance(value, Tensor) else
                   type(value).__name__)
            raise TypeError(
                f'WATeacherDistillHook: expected logits (N, K) from {source}'
                f'{f", branch {name!r}" if name else ""}, got {got}. Name '
                'the module that returns them by logits_from=..., or set '
                'distill_weight=0 to average the weights alone')
    return {name: value.float() if value.dtype.itemsize < 4 else value
            for name, value in named.items()}
