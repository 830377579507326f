"""Eq. 8 on any classifier: the averaged model teaches its own heads."""
import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...functional import kl_divergence
from .tap import LossTap, Step

__all__ = ['ForeignDistiller']

HEADS = ('cls_head', 'head')
WAYS_OUT = (
    'Name the module that returns (N, K) logits by logits_from=..., or set '
    'distill_weight=0 to average the weights alone')


class ForeignDistiller:
    """Eq. 8 through a model's public forward.

    The teacher is called with the student's own arguments and
    ``mode='tensor'``, with ``stage='head'`` where the model knows stages;
    the student's logits are caught at its head while it computes its losses.
    A head that answers with a dict (RGBPose: 'rgb', 'pose') has one branch
    for each entry that has a loss (its ``loss_components``, where it says);
    the teacher's fused probabilities are the mean over these branches, and
    each of them learns from it.

    Args:
        model (nn.Module): The student, unwrapped.
        teacher (nn.Module): Its average, in eval mode.
        weight (float or dict): lambda of Eq. 9, one for all branches or one
            for each by its name; what it does not name weighs 0. The only
            branch of a head that returns a tensor is called 'fused'.
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
        head = _find_head(model, logits_from)
        self.teacher = teacher
        self.weight = weight
        self.ramp = 1.0
        self.active = True
        # what has no loss is not trained, and knows nothing to teach
        self._components = getattr(head, 'loss_components', None)
        self._asks = _asks_for_logits(model)
        self._tap = LossTap.of(model)
        self._tap.add(self, head)

    def detach(self) -> None:
        """Leave the model as it was found."""
        self._tap.remove(self)

    def check_asked(self) -> None:
        """Refuse a model that trains past its ``__call__``."""
        self._tap.check_asked('WATeacherDistillHook')

    def __call__(self, step: Step) -> dict[str, Tensor]:
        """The weighted terms of Eq. 8, ``loss_distill`` or one a branch."""
        if not self.active:
            return {}
        if len(step.logits) != 1:
            raise TypeError(
                'WATeacherDistillHook: expected the head to be called once '
                'in a training step, it was called '
                f'{len(step.logits)} times. {WAYS_OUT}')
        student = self._trained(
            _branches(step.logits[0], 'the head in training'))
        args, kwargs = step.arguments()
        with torch.no_grad():
            said = self.teacher(*args, **{**kwargs, **self._asks})
        teacher = self._trained(_branches(said, "forward(mode='tensor')"))
        self._check(student, teacher)
        prob = torch.stack([x.softmax(1) for x in teacher.values()]).mean(0)
        return {
            f'loss_distill_{name}' if name else 'loss_distill':
            self.ramp * self.weight_of(name) * kl_divergence(prob, logits)
            for name, logits in student.items() if self.weight_of(name) > 0
        }

    def weight_of(self, name: str) -> float:
        """The weight of one branch; '' names an only one."""
        if isinstance(self.weight, Mapping):
            return self.weight.get(name or 'fused', 0.0)
        return self.weight

    def _trained(self, branches: dict[str, Tensor]) -> dict[str, Tensor]:
        """Those of several branches that have a loss."""
        if self._components is None or '' in branches:
            return branches
        return {name: logits for name, logits in branches.items()
                if name in self._components}

    def _check(self, student: dict[str, Tensor],
               teacher: dict[str, Tensor]) -> None:
        """Refuse answers of different shape, and weights for no branch."""
        shapes = [{name or 'logits': tuple(x.shape)
                   for name, x in logits.items()}
                  for logits in (student, teacher)]
        if shapes[0] != shapes[1]:
            raise TypeError(
                'WATeacherDistillHook: the head gave logits of '
                f"{shapes[0]} in training, forward(mode='tensor') of "
                f'{shapes[1]}; expected the same (N, K). {WAYS_OUT}')
        if isinstance(self.weight, Mapping):
            known = {name or 'fused' for name in student}
            unknown = self.weight.keys() - known
            if unknown:
                raise ValueError(f'distill_weight names {sorted(unknown)}: '
                                 f'expected some of {sorted(known)}')


def _find_head(model: nn.Module, name: str | None) -> nn.Module:
    """The module whose output are the logits of single-label classes."""
    modules = dict(model.named_modules())
    candidates = (name, ) if name else HEADS
    found = [modules[key] for key in candidates if key in modules]
    if not found:
        raise TypeError(
            f'WATeacherDistillHook distils class logits: expected '
            f'{type(model).__name__} to have the module '
            f'{" or ".join(map(repr, candidates))}, it has '
            f'{[key for key, _ in model.named_children()]}. {WAYS_OUT}')
    head = found[0]
    if getattr(head, 'multi_class', False):
        raise TypeError(
            f'{type(head).__name__} has multi_class=True: Eq. 8 compares '
            'softmax probabilities of one label a clip, not of several. '
            'distill_weight=0 averages the weights alone')
    return head


def _asks_for_logits(model: nn.Module) -> dict[str, str]:
    """What makes this model's forward return logits, not losses."""
    parameters = inspect.signature(model.forward).parameters
    kinds = {p.kind for p in parameters.values()}
    if 'mode' not in parameters or inspect.Parameter.VAR_POSITIONAL in kinds:
        raise TypeError(
            f'{type(model).__name__}.forward has the arguments '
            f'{list(parameters)}: expected the OpenMMLab convention, '
            "forward(inputs, data_samples, mode='tensor'), through which the "
            'teacher is asked. distill_weight=0 averages the weights alone')
    # the host's forward hands what it does not know to extract_feat
    inner = (inspect.signature(model.extract_feat).parameters
             if inspect.Parameter.VAR_KEYWORD in kinds
             and hasattr(model, 'extract_feat') else {})
    knows_stages = 'stage' in parameters or 'stage' in inner
    return dict(mode='tensor', **(dict(stage='head') if knows_stages else {}))


def _branches(logits: object, source: str) -> dict[str, Tensor]:
    """Logits (N, K) by the name of their branch, '' for an only one."""
    named = logits if isinstance(logits, dict) else {'': logits}
    for name, value in named.items():
        if not isinstance(value, Tensor) or value.ndim != 2:
            got = (tuple(value.shape) if isinstance(value, Tensor) else
                   type(value).__name__)
            raise TypeError(
                f'WATeacherDistillHook: expected logits (N, K) from {source}'
                f'{f", branch {name!r}" if name else ""}, got {got}. '
                f'{WAYS_OUT}')
    # probabilities in half precision would not sum to 1
    return {name: value.float() if value.dtype.itemsize < 4 else value
            for name, value in named.items()}
