"""DSU: perturb feature statistics as a new domain would.

Source: Li et al., "Uncertainty Modeling for Out-of-Distribution
Generalization", ICLR 2022; used by MBCD's released code in pass 1.
"""
import torch
from torch import Tensor

__all__ = ['dsu']

Features = Tensor | tuple[Tensor, ...]


def dsu(x: Features, prob: float = 0.5, eps: float = 1e-6) -> Features:
    """Resample each channel's mean and deviation around their own values.

    With mu and sigma per sample and channel over space-time,
    ``x' = (sigma + e2 std_batch(sigma)) (x - mu) / sigma
    + mu + e1 std_batch(mu)`` where e1, e2 ~ N(0, 1) per sample and channel.

    Args:
        x (Tensor or tuple): Features, (N, C, *space), at least one space
            dimension; or those of a network's pathways.
        prob (float): Probability that the call perturbs at all: one coin for
            the batch and all pathways. Defaults to 0.5.
        eps (float): Added to variances. Defaults to 1e-6.

    Returns:
        Tensor or tuple: Features of the same shape; ``x`` itself if the coin
        says so or the batch has one sample (whose statistics have no
        spread).
    """
    parts = (x, ) if isinstance(x, Tensor) else x
    for part in parts:
        if part.ndim < 3:
            raise ValueError('dsu needs features with space dimensions, '
                             f'(N, C, *space): got {tuple(part.shape)}')
    if torch.rand(()).item() >= prob or len(parts[0]) == 1:
        return x
    if isinstance(x, Tensor):
        return _resampled(x, eps)
    return tuple(_resampled(part, eps) for part in x)


def _resampled(x: Tensor, eps: float) -> Tensor:
    """The formula of :func:`dsu` on one map."""
    dims = tuple(range(2, x.ndim))
    mu = x.mean(dims, keepdim=True)
    # a single space-time position has no variance; NaN would be the
    # unbiased estimate
    correction = 0 if x[0, 0].numel() == 1 else 1
    sigma = (x.var(dims, correction=correction, keepdim=True) + eps).sqrt()
    new_mu = mu + torch.randn_like(mu) * _batch_std(mu, eps)
    new_sigma = sigma + torch.randn_like(sigma) * _batch_std(sigma, eps)
    return (x - mu) / sigma * new_sigma + new_mu


def _batch_std(statistic: Tensor, eps: float) -> Tensor:
    """Spread of a statistic over the batch, (1, C, 1, ...)."""
    return (statistic.var(0, keepdim=True) + eps).sqrt()
