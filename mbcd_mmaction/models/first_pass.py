"""Pass 1, at theta, modality by modality."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..functional import inner_gradients, take_gradients, with_gradients

__all__ = ['FirstPass', 'release']

Named = dict[str, Tensor]


@dataclass
class FirstPass:
    """What pass 1 leaves for the rest of the step, by modality.

    Attributes:
        embeddings (dict): z_k, (N, D_k).
        logits (dict): f^k, (N, K).
        losses (dict): L_k, shape ().
        terms (dict): The modality's terms of Eq. 9, by their names in the
            loss dict.
        inner_grads (dict): The gradient of L_k by parameter name, where pass
            1 was released; empty elsewhere.
        scale (float): The loss scale with which they were taken.
    """
    embeddings: Named = field(default_factory=dict)
    logits: Named = field(default_factory=dict)
    losses: Named = field(default_factory=dict)
    terms: dict[str, Named] = field(default_factory=dict)
    inner_grads: dict[str, Named] = field(default_factory=dict)
    scale: float = 1.0


def release(loss: Tensor, weight: float, terms: Mapping[str, Tensor],
            theta: Mapping[str, Tensor], others: Sequence[nn.Module],
            scale: float) -> tuple[Named, Named]:
    """Take all gradients of one modality's pass 1, and free its graph.

    The inner step (Eq. 5) needs the gradient of L_k alone and the outer one
    that of all terms: two backward passes here, none later, so that the
    activations of one modality's pass 1 are gone before the next's begin.
    Where L_k is the only term, one pass gives both.

    Args:
        loss (Tensor): L_k, shape ().
        weight (float): What L_k weighs in Eq. 9.
        terms (Mapping[str, Tensor]): The modality's terms of Eq. 9, shape ()
            each; L_k itself, weighted, is the first.
        theta (Mapping[str, Tensor]): theta_k by name.
        others (Sequence[nn.Module]): What else trains on these terms.
        scale (float): The loss scale, see ``take_gradients``.

    Returns:
        tuple: The gradient of L_k at theta_k, by name, and the terms as
        numbers; the gradient of their sum hangs on the first.
    """
    params = {('theta', name): param for name, param in theta.items()}
    params.update(((i, name), param) for i, module in enumerate(others)
                  for name, param in module.named_parameters()
                  if param.requires_grad)
    first = next(iter(terms))
    if len(terms) > 1:
        inner = inner_gradients(loss, theta, loss_scale=scale)
        outer = take_gradients(
            sum(terms.values()), params, retain_graph=False,
            loss_scale=scale)
    else:
        own = take_gradients(
            loss, params, retain_graph=False, loss_scale=scale)
        inner = {
            name: own.get(('theta', name), torch.zeros_like(param))
            for name, param in theta.items()
        }
        outer = own if weight == 1 else {
            name: weight * grad
            for name, grad in own.items()
        }
    numbers = {name: term.detach() for name, term in terms.items()}
    numbers[first] = with_gradients(numbers[first], params, outer)
    return inner, numbers
