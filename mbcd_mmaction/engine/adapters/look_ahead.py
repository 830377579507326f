"""Eq. 5 and 6 on any model with several named losses."""
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...models.slots import LookAhead
from .tap import LossTap, Step

__all__ = ['NamedLossConsistency']


class NamedLossConsistency:
    """Make the step on some losses agree with the step on others.

    With ``order='first'`` or 'second' the outer losses are taken at theta' =
    theta - inner_lr * grad(sum of the inner losses), Eq. 5, in a second
    forward that draws its own dropout and leaves BatchNorm's statistics
    alone; the inner ones stay at theta. 'penalty' adds Eq. 6's ``-inner_lr *
    <g_inner, g_outer>`` as ``loss_consistency``, 'cosine' its scale-free
    form, ``inner_lr * (1 - cos(g_inner, g_outer))``.

    Args:
        model (nn.Module): The model, unwrapped and in training mode, so that
            what it freezes is frozen.
        slot (LookAhead): Step size, order and how gradients are taken.
        inner_losses (Sequence[str]): Names in the loss dict.
        outer_losses (Sequence[str]): Others.
        params (str): Regular expression, searched in the names of trainable
            parameters: theta. Defaults to '^backbone'.

    Raises:
        ValueError: No names, a name in both lists or of no loss, or no such
            parameter.
    """

    def __init__(self,
                 model: nn.Module,
                 slot: LookAhead,
                 inner_losses: Sequence[str],
                 outer_losses: Sequence[str],
                 params: str = '^backbone') -> None:
        self.inner, self.outer = list(inner_losses), list(outer_losses)
        self.slot = slot
        self.pattern = params
        self.active = True
        self._check_names(type(model).__name__)
        if not self._theta(model):
            names = [n for n, p in model.named_parameters() if p.requires_grad]
            raise ValueError(
                f'GradientConsistencyHook: params={params!r} fits no '
                f'trainable parameter of {type(model).__name__}, expected '
                f'some of the {len(names)}: {names[:5]} ...')
        self._tap = LossTap.of(model)
        self._tap.add(self)

    def detach(self) -> None:
        """Leave the model as it was found."""
        self._tap.remove(self)

    def check_asked(self) -> None:
        """Refuse a model that trains past its ``__call__``."""
        self._tap.check_asked('GradientConsistencyHook')

    def __call__(self, step: Step) -> dict[str, Tensor]:
        """Outer losses at theta', or a penalty beside all."""
        if not self.active:
            return {}
        missing = [name for name in (*self.inner, *self.outer)
                   if name not in step.losses]
        if missing:
            raise ValueError(
                f'GradientConsistencyHook: no loss is called {missing}; '
                f'{type(step.model).__name__} returned {list(step.losses)}')
        theta = {'theta': self._theta(step.model)}
        inner = {name: _total(step.losses[name]) for name in self.inner}
        if not self.slot.takes_step:
            outer = sum(_total(step.losses[name]) for name in self.outer)
            return dict(
                loss_consistency=self.slot.penalty(inner, outer, theta))
        fast = self.slot.fast_weights(inner, theta)['theta']
        losses = self._losses_at(step, fast)
        return {name: losses[name] for name in self.outer}

    def _losses_at(self, step: Step,
                   fast: dict[str, Tensor]) -> dict[str, Tensor]:
        """The model's losses at theta'; its buffers do not move again."""
        buffers = {name: buffer.clone()
                   for name, buffer in step.model.named_buffers()}
        args, kwargs = step.arguments()
        return torch.func.functional_call(step.model, {**buffers, **fast},
                                          args, kwargs)

    def _theta(self, model: nn.Module) -> dict[str, Tensor]:
        """The trainable parameters that the pattern finds, by name."""
        return {name: param for name, param in model.named_parameters()
                if param.requires_grad and re.search(self.pattern, name)}

    def _check_names(self, model: str) -> None:
        """Refuse lists that leave nothing to agree with."""
        both = sorted(set(self.inner) & set(self.outer))
        if not self.inner or not self.outer or both:
            raise ValueError(
                'GradientConsistencyHook: expected inner_losses and '
                f'outer_losses to name different losses of {model}, got '
                f'{self.inner} and {self.outer}. It sets the gradients of '
                'several losses against each other: a model with one loss '
                'has nothing to agree with')
        uncounted = [name for name in (*self.inner, *self.outer)
                     if 'loss' not in name]
        if uncounted:
            raise ValueError(
                f'GradientConsistencyHook: {uncounted} are no losses: '
                "MMEngine sums the entries whose names hold 'loss'")


def _total(loss: Tensor | Sequence[Tensor]) -> Tensor:
    """A loss as the host counts it: the mean, summed over a list."""
    if isinstance(loss, Tensor):
        return loss.mean()
    return sum(part.mean() for part in loss)
