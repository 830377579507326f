"""Pass 1, at theta, modality by modality."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..functional import inner_gradients, take_gradients, with_gradients
from .stages import Features

__all__ = ['FirstPass', 'run_first_pass']

Named = dict[str, Tensor]


@dataclass
class FirstPass:
    """What pass 1 leaves for the rest of the step.

    Attributes:
        embeddings (dict): z_k by modality, (N, D_k); empty where pass 1 was
            released.
        logits (dict): f^k by modality, (N, K).
        losses (dict): L_k by modality, shape ().
        terms (dict): The weighted L_k of Eq. 9, or the probes' losses, by
            their names in the loss dict, shape ().
        distill_terms (dict): Eq. 8's uni-modal terms, likewise.
        inner_grads (dict): The gradient of L_k by modality and parameter
            name, where pass 1 was released; empty elsewhere.
        scale (float): The loss scale with which they were taken.
    """
    embeddings: Named = field(default_factory=dict)
    logits: Named = field(default_factory=dict)
    losses: Named = field(default_factory=dict)
    terms: Named = field(default_factory=dict)
    distill_terms: Named = field(default_factory=dict)
    inner_grads: dict[str, Named] = field(default_factory=dict)
    scale: float = 1.0


def run_first_pass(model: BaseModel, trunk: Mapping[str, Features],
                   labels: Tensor,
                   teacher_prob: Tensor | None) -> FirstPass:
    """Pass 1 of all modalities, each one's graph released where it may be.

    Args:
        model (MultiModalRecognizer): The student.
        trunk (Mapping): Modality to its trunk's features, (N, C, ...).
        labels (Tensor): (N,).
        teacher_prob (Tensor, optional): (N, K); None without distillation.

    Returns:
        FirstPass: What the step goes on with.
    """
    first = FirstPass()
    ahead = model.lookahead
    releases = (model.release_early and ahead is not None
                and ahead.order == 'first')
    if releases:
        first.scale = ahead.loss_scale()
    for m, h in trunk.items():
        z, logits = model.encode(m, h)
        loss = F.cross_entropy(logits, labels)
        weight = 1.0 if model.has_probes else model.unimodal_loss_weight
        name = f'loss_probe_{m}' if model.has_probes else f'loss_{m}'
        term = loss if weight == 1 else weight * loss
        taught = {} if teacher_prob is None else (
            model.distiller.term(m, teacher_prob, logits))
        if releases:
            del z  # the rest of the graph goes with the gradients
            first.inner_grads[m], term, taught = _release(
                loss, weight, term, taught,
                model.branches[m].trainable_params(),
                [model.unimodal_heads[m], model.feature_perturbation],
                first.scale)
            loss, logits = loss.detach(), logits.detach()
        else:
            first.embeddings[m] = z
        first.logits[m] = logits
        first.losses[m] = loss
        first.terms[name] = term
        first.distill_terms.update(taught)
    return first


def _release(loss: Tensor, weight: float, term: Tensor,
             taught: Mapping[str, Tensor], theta: Mapping[str, Tensor],
             others: Sequence[nn.Module | None],
             scale: float) -> tuple[Named, Tensor, Named]:
    """Take all gradients of one modality's pass 1, and free its graph.

    The inner step (Eq. 5) needs the gradient of L_k alone and the outer one
    that of all terms: two backward passes here, none later, so that the
    activations of one modality's pass 1 are gone before the next's begin.
    Without a distillation term one pass gives both.

    Args:
        loss (Tensor): L_k, shape ().
        weight (float): What L_k weighs in Eq. 9.
        term (Tensor): L_k weighted, shape ().
        taught (Mapping[str, Tensor]): The distillation term, or none.
        theta (Mapping[str, Tensor]): theta_k by name.
        others (Sequence[nn.Module]): What else may train on these terms.
        scale (float): The loss scale, see ``take_gradients``.

    Returns:
        tuple: The gradient of L_k at theta_k by name; both kinds of term as
        numbers. The gradient of their sum hangs on the first.
    """
    params = {('theta', name): param for name, param in theta.items()}
    params.update(((i, name), param) for i, module in enumerate(others)
                  if isinstance(module, nn.Module)
                  for name, param in module.named_parameters()
                  if param.requires_grad)
    if taught:
        inner = inner_gradients(loss, theta, loss_scale=scale)
        outer = take_gradients(
            sum(taught.values(), term), params, retain_graph=False,
            loss_scale=scale)
    else:
        own = take_gradients(
            loss, params, retain_graph=False, loss_scale=scale)
        inner = {
            name: own[key] if (key := ('theta', name)) in own else
            torch.zeros_like(param)
            for name, param in theta.items()
        }
        outer = own if weight == 1 else {
            name: weight * grad
            for name, grad in own.items()
        }
    numbers = {name: value.detach() for name, value in taught.items()}
    return inner, with_gradients(term, params, outer), numbers
