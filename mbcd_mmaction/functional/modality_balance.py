"""Eq. 2-4: how far each modality runs ahead, and what that costs it.

Source: MBCD (Wang et al., AAAI-26, arXiv 2511.20258), section "adaptive
modality dropout".
"""
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ['confidence', 'dominance_ratio', 'drop_prob', 'sample_keep_mask']


def confidence(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 2: the sum over the batch of each modality's top probability.

    Args:
        logits (Mapping[str, Tensor]): Uni-modal logits, (N, K) each.

    Returns:
        dict[str, Tensor]: Confidence s_k of shape () and range [N / K, N],
        in the logits' dtype (at least float32), detached.
    """
    return {
        modality: _at_least_float32(value.detach()).softmax(1).amax(1).sum()
        for modality, value in logits.items()
    }


def dominance_ratio(confidence: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Eq. 3: the mean over the other modalities j of s_k / s_j.

    A ratio above 1 marks a modality that learns faster than the others.

    Args:
        confidence (Mapping[str, Tensor]): s_k > 0 of shape () each.

    Returns:
        dict[str, Tensor]: r_k > 0 of shape () each.

    Raises:
        ValueError: If there are fewer than two modalities.
    """
    if len(confidence) < 2:
        raise ValueError(
            'dominance_ratio compares modalities: expected at least 2, got '
            f'{list(confidence)} (for one modality use no modality dropout)')
    return {
        modality: torch.stack([
            own / other for name, other in confidence.items()
            if name != modality
        ]).mean()
        for modality, own in confidence.items()
    }


def drop_prob(dominance_ratio: Mapping[str, Tensor],
              base_drop_prob: float = 0.0) -> dict[str, Tensor]:
    """Eq. 4: tanh(max(r_k - 1, 0)), the probability that k is dropped.

    With ``base_drop_prob`` b it is ``b + (1 - b) tanh(r_k - 1)`` where
    r_k > 1, and still 0 elsewhere (an option of the released code).

    Args:
        dominance_ratio (Mapping[str, Tensor]): r_k of shape () each.
        base_drop_prob (float): b in [0, 1). Defaults to 0.0, the paper's.

    Returns:
        dict[str, Tensor]: Probabilities in [0, 1] of shape () each, exactly
        0 where r_k <= 1.
    """
    if not 0.0 <= base_drop_prob < 1.0:
        raise ValueError('base_drop_prob must lie in [0, 1), got '
                         f'{base_drop_prob}')
    probs = {}
    for modality, ratio in dominance_ratio.items():
        excess = torch.tanh((ratio - 1).clamp_min(0))
        floored = base_drop_prob + (1 - base_drop_prob) * excess
        probs[modality] = torch.where(ratio > 1, floored,
                                      torch.zeros_like(ratio))
    return probs


def sample_keep_mask(
        drop_prob: Mapping[str, Tensor],
        num_samples: int,
        granularity: str = 'sample',
        generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """Eq. 4: draw the masks D_k ~ Bernoulli(1 - drop_prob_k), 1 = kept.

    Args:
        drop_prob (Mapping[str, Tensor]): Probabilities of shape () each.
        num_samples (int): N, the clips in the batch.
        granularity (str): 'sample' draws one coin per clip, 'batch' one for
            the whole batch. Defaults to 'sample'.
        generator (torch.Generator, optional): Source of randomness.

    Returns:
        dict[str, Tensor]: Masks of 0 and 1, (N, 1) or (1, 1) each. One draw
        per modality in the mapping's order, also where the probability is 0,
        so that the random stream does not depend on the logits.
    """
    rows = {'sample': num_samples, 'batch': 1}.get(granularity)
    if rows is None:
        raise ValueError("granularity must be 'sample' or 'batch', got "
                         f'{granularity!r}')
    return {
        modality: (torch.rand(
            (rows, 1),
            generator=generator,
            dtype=prob.dtype,
            device=prob.device) >= prob).to(prob.dtype)
        for modality, prob in drop_prob.items()
    }


def _at_least_float32(logits: Tensor) -> Tensor:
    """Half precision sums of probabilities lose the third digit."""
    return logits if logits.dtype == torch.float64 else logits.float()
