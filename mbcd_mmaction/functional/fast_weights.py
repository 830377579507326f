"""Eq. 5 and 6: look one step ahead on each modality's own loss.

Source: MBCD (Wang et al., AAAI-26, arXiv 2511.20258), section "gradient
consistency constraint". Parameters and gradients are dictionaries from
parameter name to tensor.
"""
from collections.abc import Mapping

import torch
from torch import Tensor

from .known_gradient import take_gradients

__all__ = [
    'alignment_penalty', 'average_across_ranks', 'cosine_penalty',
    'fast_weights', 'gradient_inner_product', 'inner_gradients'
]


def inner_gradients(loss: Tensor,
                    params: Mapping[str, Tensor],
                    create_graph: bool = False,
                    loss_scale: float = 1.0) -> dict[str, Tensor]:
    """The gradient of a uni-modal loss that Eq. 5 steps along.

    Args:
        loss (Tensor): L_k of shape (); a sum over modalities serves all of
            them in one backward pass, since L_k depends on theta_k alone.
        params (Mapping[str, Tensor]): theta_k, tensors that require
            gradients.
        create_graph (bool): Keep the gradients differentiable, as the second
            order needs. Defaults to False (constants).
        loss_scale (float): The loss is multiplied by it and the gradients
            divided, to keep half-precision gradients from vanishing.

    Returns:
        dict[str, Tensor]: Gradients, shaped as the parameters; zeros for
        parameters that the loss does not depend on.
    """
    grads = take_gradients(
        loss, params, create_graph, loss_scale=loss_scale)
    return {
        name: grads[name] if name in grads else torch.zeros_like(param)
        for name, param in params.items()
    }


def fast_weights(params: Mapping[str, Tensor], grads: Mapping[str, Tensor],
                 inner_lr: float) -> dict[str, Tensor]:
    """Eq. 5: theta'_k = theta_k - inner_lr * grad L_k(theta_k).

    Args:
        params (Mapping[str, Tensor]): theta_k.
        grads (Mapping[str, Tensor]): Gradients of the same names and shapes.
        inner_lr (float): Step size >= 0; at 0 the very tensors of ``params``
            are returned.

    Returns:
        dict[str, Tensor]: New tensors that stay in theta_k's graph: what is
        computed with them sends its gradient to theta_k.
    """
    if inner_lr < 0:
        raise ValueError(f'inner_lr must be >= 0, got {inner_lr}')
    if params.keys() != grads.keys():
        raise ValueError('params and grads must name the same tensors: only '
                         f'one has {sorted(params.keys() ^ grads.keys())}')
    if inner_lr == 0:
        return dict(params)
    return {
        name: param - inner_lr * grads[name]
        for name, param in params.items()
    }


def gradient_inner_product(grads_a: Mapping[str, Tensor],
                           grads_b: Mapping[str, Tensor]) -> Tensor:
    """Eq. 6: <g_k, g_mm>, positive where the two losses agree on a step.

    Args:
        grads_a (Mapping[str, Tensor]): Gradients of one loss.
        grads_b (Mapping[str, Tensor]): Those of the other, same names.

    Returns:
        Tensor: The inner product over all named tensors, shape ().
    """
    if grads_a.keys() != grads_b.keys():
        raise ValueError('both gradients must name the same tensors: only '
                         f'one has {sorted(grads_a.keys() ^ grads_b.keys())}')
    return torch.stack([(grads_a[name] * grads_b[name]).sum()
                        for name in grads_a]).sum()


def alignment_penalty(unimodal_grads: Mapping[str, Mapping[str, Tensor]],
                      fused_grads: Mapping[str, Mapping[str, Tensor]],
                      inner_lr: float) -> Tensor:
    """Eq. 6 as a penalty: -inner_lr * sum over k of <g_k, g_mm>.

    The explicit form, for models that cannot be looked ahead: to first order
    in inner_lr it changes the loss as Eq. 5 does.

    Args:
        unimodal_grads (Mapping): Modality to its gradients g_k.
        fused_grads (Mapping): Modality to the fused loss' gradients over the
            same parameters.
        inner_lr (float): Step size >= 0.

    Returns:
        Tensor: A loss of shape (), differentiable if the gradients are.
    """
    products = [
        gradient_inner_product(unimodal_grads[modality],
                               fused_grads[modality])
        for modality in unimodal_grads
    ]
    return -inner_lr * torch.stack(products).sum()


def cosine_penalty(unimodal_grads: Mapping[str, Mapping[str, Tensor]],
                   fused_grads: Mapping[str, Mapping[str, Tensor]],
                   weight: float) -> Tensor:
    """Eq. 6 without its scale: weight * sum over k of (1 - cos(g_k, g_mm)).

    Not in the paper: it asks for the same agreement whatever the size of the
    gradients.

    Args:
        unimodal_grads (Mapping): Modality to its gradients g_k.
        fused_grads (Mapping): Modality to the fused loss' gradients over the
            same parameters.
        weight (float): Weight >= 0.

    Returns:
        Tensor: A loss of shape () in [0, 2 * weight * M]; a gradient of
        length 0 agrees and disagrees with nothing and costs ``weight``.
    """
    costs = [
        1 - gradient_inner_product(own, fused_grads[modality]) /
        (_length(own) * _length(fused_grads[modality]))
        for modality, own in unimodal_grads.items()
    ]
    return weight * torch.stack(costs).sum()


def _length(grads: Mapping[str, Tensor]) -> Tensor:
    """Euclidean length; 1 for zeros, where the root's slope is infinite."""
    square = gradient_inner_product(grads, grads)
    return torch.where(square == 0, torch.ones_like(square), square).sqrt()


def average_across_ranks(grads: Mapping[str, Tensor],
                         differentiable: bool = False) -> dict[str, Tensor]:
    """Average gradients over the processes in one flat all-reduce.

    Without it each rank would look ahead along its own shard's gradient, and
    the ranks' outer gradients would belong to different points.

    Args:
        grads (Mapping[str, Tensor]): Gradients of one dtype and device.
        differentiable (bool): Let gradients flow back through the reduction
            to the other ranks, as the second order needs.

    Returns:
        dict[str, Tensor]: The means; ``grads`` itself in a single process.
    """
    dist = torch.distributed
    if not (grads and dist.is_available() and dist.is_initialized()
            and dist.get_world_size() > 1):
        return dict(grads)
    flat = torch.cat([grad.reshape(-1) for grad in grads.values()])
    if differentiable:
        from torch.distributed.nn.functional import all_reduce
        flat = all_reduce(flat)  # type: ignore[no-untyped-call]
    else:
        flat = flat.detach()
        dist.all_reduce(flat)
    flat = flat / dist.get_world_size()
    pieces = torch.split(flat, [grad.numel() for grad in grads.values()])
    return {
        name: piece.view_as(grad)
        for (name, grad), piece in zip(grads.items(), pieces, strict=True)
    }
