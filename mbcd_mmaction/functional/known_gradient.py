"""Gradients that are taken early and handed on later."""
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ['take_gradients', 'with_gradients']


def take_gradients(loss: Tensor,
                   params: Mapping[str, Tensor],
                   create_graph: bool = False,
                   retain_graph: bool = True,
                   loss_scale: float = 1.0) -> dict[str, Tensor]:
    """The gradients of a loss, without touching ``.grad``.

    Args:
        loss (Tensor): Shape ().
        params (Mapping[str, Tensor]): Tensors that require gradients.
        create_graph (bool): Keep the gradients differentiable. Defaults to
            False (constants).
        retain_graph (bool): Keep the loss' graph for further gradients; if
            not, what it holds is freed at once. Defaults to True.
        loss_scale (float): The loss is multiplied by it and the gradients
            divided, to keep half-precision gradients from vanishing.

    Returns:
        dict[str, Tensor]: Gradients, shaped as the parameters; those that
        the loss does not depend on are left out.
    """
    if not params or not loss.requires_grad:
        return {}
    with _without_autocast(loss.device.type):
        grads = torch.autograd.grad(
            loss if loss_scale == 1.0 else loss * loss_scale,
            list(params.values()),
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=True)
    return {
        name: grad if loss_scale == 1.0 else grad / loss_scale
        for name, grad in zip(params, grads, strict=True) if grad is not None
    }


def _without_autocast(kind: str) -> AbstractContextManager[object]:
    """Autocast off, on devices that have it (meta does not)."""
    if torch.amp.is_autocast_available(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


def with_gradients(value: Tensor, params: Mapping[str, Tensor],
                   grads: Mapping[str, Tensor]) -> Tensor:
    """A loss whose gradients are known already.

    Its graph holds these gradients in place of all that was computed to get
    the value. A backward pass hands them on, times the gradient that comes
    in, as it would any other: hooks, accumulation over steps, loss scaling
    and DistributedDataParallel see no difference.

    Args:
        value (Tensor): The loss, shape ().
        params (Mapping[str, Tensor]): Tensors that require gradients.
        grads (Mapping[str, Tensor]): The loss' gradients at some of them;
            constants.

    Returns:
        Tensor: The value, shape (), once differentiable.
    """
    if not grads:
        return value.detach()
    result: Tensor = _WithGradients.apply(  # type: ignore[no-untyped-call]
        value.detach(), len(grads), *(params[name] for name in grads),
        *grads.values())
    return result


class _WithGradients(torch.autograd.Function):
    """The identity on a number, with given gradients."""

    @staticmethod
    def forward(ctx, value: Tensor, count: int,  # type: ignore
                *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors[count:])
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, factor: Tensor) -> tuple:  # type: ignore
        grads = [factor.to(grad.dtype) * grad for grad in ctx.saved_tensors]
        return None, None, *grads, *[None] * len(grads)
