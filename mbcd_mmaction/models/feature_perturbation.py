"""Feature perturbation as a configurable component."""
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..functional import dsu
from .stages import Features

__all__ = ['DSU']


@MODELS.register_module()
class DSU(nn.Module):
    """Resample feature statistics (Li et al., ICLR 2022), in training only.

    Args:
        prob (float): Probability that a call perturbs. Defaults to 0.5.
        eps (float): Added to variances. Defaults to 1e-6.
    """

    def __init__(self, prob: float = 0.5, eps: float = 1e-6) -> None:
        super().__init__()
        if not 0.0 <= prob <= 1.0:
            raise ValueError(f'prob must lie in [0, 1], got {prob}')
        self.prob = prob
        self.eps = eps

    def forward(self, x: Features) -> Features:
        """Features (N, C, *space), or a tuple of them, which share a coin.

        What has no space left stays as it is.
        """
        first = x if isinstance(x, Tensor) else x[0]
        if not self.training or first.ndim < 3:
            return x
        return dsu(x, self.prob, self.eps)
