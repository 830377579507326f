"""Entropies of predictions, as losses and as weights.

Source: MOOSA (Dong et al., ECCV 2024), entropy weighting and entropy
minimisation.
"""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['entropy_weighted_loss', 'entropy_weights', 'prediction_entropy']


def prediction_entropy(logits: Tensor) -> Tensor:
    """The entropy of each prediction.

    Args:
        logits (Tensor): (N, K).

    Returns:
        Tensor: Nats in [0, log K], (N,).
    """
    log_prob = logits.log_softmax(1)
    return -(log_prob.exp() * log_prob).sum(1)


def entropy_weights(logits: Sequence[Tensor],
                    temperature: float = 1.0) -> Tensor:
    """How much each head counts, sample by sample: the surer, the more.

    The softmax over heads of -entropy / temperature. Gradients reach the
    weights, as in the released code.

    Args:
        logits (Sequence[Tensor]): H heads, (N, K) each.
        temperature (float): > 0. Defaults to 1.0.

    Returns:
        Tensor: Weights (N, H), each row adds up to 1.
    """
    entropies = torch.stack([prediction_entropy(x) for x in logits], dim=1)
    return (-entropies / temperature).softmax(1)


def entropy_weighted_loss(logits: Sequence[Tensor],
                          labels: Tensor,
                          temperature: float = 1.0) -> Tensor:
    """The cross-entropies of all heads, weighted in each sample.

    Args:
        logits (Sequence[Tensor]): H heads, (N, K) each.
        labels (Tensor): Classes, (N,).
        temperature (float): See :func:`entropy_weights`. Defaults to 1.0.

    Returns:
        Tensor: Loss >= 0, shape ().
    """
    losses = torch.stack(
        [F.cross_entropy(x, labels, reduction='none') for x in logits], dim=1)
    return (entropy_weights(logits, temperature) * losses).sum(1).mean()
