"""What hooks put into a recognizer's step: a look-ahead and a distiller.

A slot holds no state of its own but its settings; the hooks decide when it
is there (see ``engine/hooks``).
"""
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..functional import (
    alignment_penalty,
    average_across_ranks,
    cosine_penalty,
    fast_weights,
    inner_gradients,
    kl_divergence,
)
from .stages import Features

__all__ = ['Distiller', 'LookAhead']

Params = Mapping[str, Mapping[str, Tensor]]
ORDERS = ('first', 'second', 'penalty', 'cosine')


class LookAhead:
    """Eq. 5 and 6 on several modalities at once.

    Args:
        inner_lr (float): Size of the inner step, > 0.
        order (str): 'first' takes the inner gradient for a constant,
            'second' differentiates through it; 'penalty' takes no step and
            adds Eq. 6's inner product to the loss, 'cosine' its form without
            scale, of which ``inner_lr`` is the weight.
        sync_inner_grad (bool): Average inner gradients over the processes.
            Defaults to True.
        loss_scale (Callable, optional): Returns the factor that keeps
            half-precision inner gradients from vanishing. Where it makes
            them overflow, that step does not look ahead.
    """

    def __init__(self,
                 inner_lr: float,
                 order: str = 'first',
                 sync_inner_grad: bool = True,
                 loss_scale: Callable[[], float] | None = None) -> None:
        if inner_lr <= 0:
            raise ValueError(f'inner_lr must be > 0, got {inner_lr}')
        if order not in ORDERS:
            raise ValueError(f'order must be one of {list(ORDERS)}, got '
                             f'{order!r}')
        self.inner_lr = inner_lr
        self.order = order
        self.sync_inner_grad = sync_inner_grad
        self.loss_scale = loss_scale or (lambda: 1.0)

    def __deepcopy__(self, memo: dict) -> 'LookAhead':
        # hooks of others (EMA) copy models; a slot belongs to its hook
        return self

    @property
    def takes_step(self) -> bool:
        """Whether the fused loss is taken at fast weights (Eq. 5)."""
        return self.order in ('first', 'second')

    def fast_weights(self, unimodal_losses: Mapping[str, Tensor],
                     params: Params) -> dict[str, dict[str, Tensor]]:
        """Eq. 5 for each modality.

        Args:
            unimodal_losses (Mapping[str, Tensor]): L_k, shape () each.
            params (Mapping): Modality to theta_k by name.

        Returns:
            dict: Modality to theta'_k by name.
        """
        scale = self.loss_scale()
        grads = self._gradients(unimodal_losses, params, scale,
                                self.order == 'second')
        return self.step(grads, params, scale)

    def step(self, grads: Params, params: Params,
             scale: float) -> dict[str, dict[str, Tensor]]:
        """Eq. 5 along gradients of this process.

        Args:
            grads (Mapping): Modality to the gradient of L_k by name.
            params (Mapping): Modality to theta_k by name.
            scale (float): The loss scale with which they were taken.

        Returns:
            dict: Modality to theta'_k by name.
        """
        grads = self._agreed(grads, scale, self.order == 'second')
        return {
            modality: fast_weights(params[modality], grads[modality],
                                   self.inner_lr)
            for modality in params
        }

    def penalty(self, unimodal_losses: Mapping[str, Tensor],
                fused_loss: Tensor, params: Params) -> Tensor:
        """Eq. 6 as a loss, by inner product or cosine, shape ()."""
        scale = self.loss_scale()
        unimodal, fused = (
            self._agreed(self._gradients(losses, params, scale, True), scale,
                         True)
            for losses in (unimodal_losses, {'fused': fused_loss}))
        cost = cosine_penalty if self.order == 'cosine' else alignment_penalty
        return cost(unimodal, fused, self.inner_lr)

    def _gradients(self, losses: Mapping[str, Tensor], params: Params,
                   scale: float,
                   create_graph: bool) -> dict[str, dict[str, Tensor]]:
        """One backward pass for all modalities."""
        grads = inner_gradients(
            sum(losses.values()), _flat(params), create_graph, scale)
        return _nested(grads, params)

    def _agreed(self, grads: Params, scale: float,
                differentiable: bool) -> dict[str, dict[str, Tensor]]:
        """The processes' mean, in one reduction for all modalities."""
        flat = _flat(grads)
        if self.sync_inner_grad:
            flat = average_across_ranks(flat, differentiable)
        if scale != 1.0:
            flat = _zero_if_overflowed(flat)
        return _nested(flat, grads)


def _flat(nested: Params) -> dict[tuple[str, str], Tensor]:
    """Modality to name to tensor as one level."""
    return {(modality, name): tensor
            for modality, named in nested.items()
            for name, tensor in named.items()}


def _nested(flat: Mapping[tuple[str, str], Tensor],
            modalities: Iterable[str]) -> dict[str, dict[str, Tensor]]:
    """What ``_flat`` has flattened."""
    nested: dict[str, dict[str, Tensor]] = {m: {} for m in modalities}
    for (modality, name), tensor in flat.items():
        nested[modality][name] = tensor
    return nested


def _zero_if_overflowed(
        grads: dict[tuple[str, str], Tensor]) -> dict[tuple[str, str], Tensor]:
    """The gradients, or zeros if a loss scale drove one out of range.

    A scaler tries scales that are too large on purpose, and skips the step.
    The forward pass at fast weights of nan would come before that, and would
    leave nan in BatchNorm's running statistics for good.
    """
    if not grads:
        return grads
    finite = torch.stack([g.isfinite().all() for g in grads.values()]).all()
    return {
        name: torch.where(finite, grad, torch.zeros_like(grad))
        for name, grad in grads.items()
    }


class Distiller:
    """Eq. 8: what the averaged model says, and what it costs to differ.

    Args:
        teacher (nn.Module): The averaged model; called as ``teacher(inputs,
            trunk_features)`` it returns its fused probabilities (N, K).
        weight (float or dict): lambda of Eq. 9, one for all terms or one for
            each of 'fused' and the modalities ('unimodal' names all of
            these).
    """

    def __init__(self, teacher: Callable[..., Tensor],
                 weight: float | Mapping[str, float]) -> None:
        self.teacher = teacher
        self.weight = weight
        self.ramp = 1.0

    def __deepcopy__(self, memo: dict) -> 'Distiller':
        # hooks of others (EMA) copy models; a slot belongs to its hook
        return self

    def teacher_prob(self, inputs: Mapping[str, Tensor],
                     trunk_features: Mapping[str, Features]) -> Tensor:
        """What the teacher says: probabilities (N, K), no gradient."""
        with torch.no_grad():
            return self.teacher(inputs, trunk_features)

    def term(self, name: str, teacher_prob: Tensor,
             logits: Tensor) -> dict[str, Tensor]:
        """One weighted term of Eq. 8, by its name in the loss dict.

        Args:
            name (str): 'fused' or a modality.
            teacher_prob (Tensor): From :meth:`teacher_prob`.
            logits (Tensor): The student's, (N, K).

        Returns:
            dict[str, Tensor]: One loss of shape (), none if it weighs 0.
        """
        weight = self.weight_of(name)
        if weight == 0:
            return {}
        loss = kl_divergence(teacher_prob, logits)
        return {f'loss_distill_{name}': self.ramp * weight * loss}

    def weight_of(self, name: str) -> float:
        """The weight of one term, 'fused' or a modality."""
        if not isinstance(self.weight, Mapping):
            return self.weight
        if name in self.weight or name == 'fused':
            return self.weight.get(name, 0.0)
        return self.weight.get('unimodal', 0.0)


def check_no_reentrant_checkpoint(model: nn.Module,
                                  names: str | Sequence[str] | None = None
                                  ) -> None:
    """Refuse activation checkpoints that a gradient inside forward breaks.

    Args:
        model (nn.Module): The model.
        names (str or Sequence[str], optional): Modules that MMEngine
            checkpoints, the config's ``activation_checkpointing``.

    Raises:
        ValueError: If a trainable module is among them or has
            ``with_cp=True``.
    """
    by_config = [names] if isinstance(names, str) else list(names or ())
    for name, module in model.named_modules():
        if not any(p.requires_grad for p in module.parameters()):
            continue
        for setting, found in (('with_cp=True',
                                getattr(module, 'with_cp', False)),
                               ('activation_checkpointing',
                                name in by_config)):
            if found:
                raise ValueError(
                    f'{name} checkpoints activations ({setting}), '
                    'which the host does re-entrantly: torch.autograd.grad '
                    'inside the forward pass cannot run through it. Switch '
                    'it off in the trainable stages')
