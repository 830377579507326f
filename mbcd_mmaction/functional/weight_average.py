"""Eq. 7: the teacher is a running average of the student's weights.

Source: MBCD (Wang et al., AAAI-26, arXiv 2511.20258), section "weight
averaging".
"""
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ['effective_decay', 'weight_average_']


def effective_decay(ema_decay: float,
                    step: int,
                    warmup: bool = False) -> float:
    """The weight on the past at one update.

    Args:
        ema_decay (float): The final weight on the past, [0, 1).
        step (int): Updates made before this one, >= 0.
        warmup (bool): Use min(ema_decay, (1 + step) / (10 + step)), which
            forgets the initial weights quickly. Defaults to False.

    Returns:
        float: Weight on the past in [0, 1).
    """
    if not 0.0 <= ema_decay < 1.0:
        raise ValueError(f'ema_decay must lie in [0, 1), got {ema_decay}')
    if not warmup:
        return ema_decay
    return min(ema_decay, (1 + step) / (10 + step))


@torch.no_grad()
def weight_average_(averaged: Sequence[Tensor], source: Sequence[Tensor],
                    ema_decay: float) -> None:
    """Eq. 7, in place: avg <- ema_decay * avg + (1 - ema_decay) * source.

    Args:
        averaged (Sequence[Tensor]): Floating-point tensors, overwritten.
        source (Sequence[Tensor]): Tensors of the same shapes, in order.
        ema_decay (float): Weight on the past, [0, 1); 0 copies exactly.
    """
    if len(averaged) != len(source):
        raise ValueError('averaged and source must pair up: got '
                         f'{len(averaged)} and {len(source)} tensors')
    if not 0.0 <= ema_decay < 1.0:
        raise ValueError(f'ema_decay must lie in [0, 1), got {ema_decay}')
    if not averaged:
        return
    if ema_decay == 0.0:
        torch._foreach_copy_(list(averaged), list(source))
    else:
        torch._foreach_lerp_(list(averaged), list(source), 1.0 - ema_decay)
