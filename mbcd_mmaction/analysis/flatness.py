"""How fast a loss grows around the weights that a training found.

Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural
Nets", NeurIPS 2018, section 4: along a Gaussian direction d whose filters are
given the norms of the weights' filters,

    f(r) = L(theta + r d),    d_i <- d_i / ||d_i|| * ||theta_i||

with i the filters of all tensors, so that a radius means the same share of
each filter whatever the scale of the weights.
"""
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

__all__ = [
    'cross_entropy', 'filter_direction', 'filter_norms', 'loss_at_radii',
    'moved'
]

Weights = Mapping[str, Tensor]
# of float32: a probability below it counts as this, the loss ends at 87.3
SMALLEST = float(np.finfo(np.float32).tiny)


def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over N clips of -log of the probability of its class.

    Args:
        scores (np.ndarray): Probabilities, (N, K).
        labels (np.ndarray): Classes, (N,).

    Raises:
        ValueError: A score is nan.
    """
    if np.isnan(scores).any():
        raise ValueError('cross-entropy: expected probabilities, got nan; '
                         'the model has diverged, or its checkpoint has')
    own = scores[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(own, SMALLEST)).mean())


def filter_norms(weight: Tensor) -> Tensor:
    """Norm of each filter of a convolution, of each row of a linear layer.

    Args:
        weight (Tensor): (C, ...), C filters.

    Returns:
        Tensor: (C, 1, ...), as many axes as ``weight``.
    """
    norms = weight.detach().flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (weight.ndim - 1))


def filter_direction(weights: Weights, seed: int) -> dict[str, Tensor]:
    """A filter-normalised Gaussian direction.

    What has one axis (biases, the affine of norms) gets zeros, as in Li et
    al.: it has no filters. The Gaussian depends on the seed and on the
    tensors' order and shapes alone, so models of one shape are moved along
    the same draws, each scaled to its own filters.

    Args:
        weights (Mapping[str, Tensor]): By name, (C, ...) each.
        seed (int): Of this direction.

    Returns:
        dict[str, Tensor]: Of the same names, shapes and devices.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        # in float64 on the CPU: the same on every device
        draw = torch.randn(weight.shape, generator=generator,
                           dtype=torch.float64)
        norms = filter_norms(weight.double()).cpu()
        direction[name] = (draw / filter_norms(draw) * norms).to(weight)
    return direction


@contextmanager
def moved(weights: Weights, direction: Weights,
          radius: float) -> Iterator[None]:
    """The weights at ``theta + radius * direction``; then theta again.

    Args:
        weights (Mapping[str, Tensor]): Of a model, changed in place and
            restored bit for bit.
        direction (Mapping[str, Tensor]): Of :func:`filter_direction`.
        radius (float): Share of each filter's norm.
    """
    before = {name: weight.detach().clone()
              for name, weight in weights.items()}
    try:
        _copy_(weights, {name: before[name] + radius * direction[name]
                         for name in weights})
        yield
    finally:
        _copy_(weights, before)


@torch.no_grad()
def _copy_(weights: Weights, values: Weights) -> None:
    """Overwrite weights in place."""
    for name, weight in weights.items():
        weight.copy_(values[name])


def loss_at_radii(weights: Weights,
                  loss: Callable[[], float],
                  radii: Sequence[float],
                  directions: int,
                  seed: int = 0) -> np.ndarray:
    """A loss along several directions.

    Args:
        weights (Mapping[str, Tensor]): What is moved, in place; restored.
        loss (Callable): The loss at the weights' present values.
        radii (Sequence[float]): 0 or more each; 0 is measured once.
        directions (int): How many. The n-th one is the same for every
            model of the same shape.
        seed (int): Of the directions. Defaults to 0.

    Returns:
        np.ndarray: Losses (directions, radii), float64.

    Raises:
        ValueError: There is nothing to move, or a radius is negative.
    """
    if not any(weight.ndim > 1 for weight in weights.values()):
        raise ValueError('expected weights with filters (two axes or more), '
                         f'got {list(weights)}')
    if min(radii, default=0) < 0:
        raise ValueError(f'expected radii of 0 or more, got {list(radii)}')
    at_zero = loss()
    rows = []
    for child in np.random.SeedSequence(seed).spawn(directions):
        direction = filter_direction(weights,
                                     int(child.generate_state(1)[0]))
        row = []
        for radius in radii:
            if radius == 0:
                row.append(at_zero)
                continue
            with moved(weights, direction, radius):
                row.append(loss())
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(directions, len(radii))
