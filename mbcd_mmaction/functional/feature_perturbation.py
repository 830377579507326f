"""DSU: perturb feature statistics as a new domain would.

Source: Li et al., "Uncertainty Modeling for Out-of-Distribution
Generalization", ICLR 2022; used by MBCD's released code in pass 1.
"""
import torch
from torch import Tensor

__all__ = ['dsu']


def dsu(x: Tensor, prob: float = 0.5, eps: float = 1e-6) -> Tensor:
    """Resample each channel's mean and deviation around their own values.

    With mu and sigma per sample and channel over space-time,
    ``x' = (sigma + e2 std_batch(sigma)) (x - mu) / sigma
    + mu + e1 std_batch(mu)`` where e1, e2 ~ N(0, 1) per sample and channel.

    Args:
        x (Tensor): Features, (N, C, *space), at least one space dimension.
        prob (float): Probability that the call perturbs at all: one coin for
            the batch. Defaults to 0.5.
        eps (float): Added to variances. Defaults to 1e-6.

    Returns:
        Tensor: Features of the same shape; ``x`` itself if the coin says so
        or the batch has one sample (whose statistics have no spread).
    """
    if x.ndim < 3:
        raise ValueError('dsu needs features with space dimensions, '
                         f'(N, C, *space): got shape {tuple(x.shape)}')
    if torch.rand(()).item() >= prob or len(x) == 1:
        return x
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
