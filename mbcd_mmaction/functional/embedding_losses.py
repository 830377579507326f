"""Losses that compare the embeddings of several modalities.

Sources: RNA-Net (Planamente et al., WACV 2022), supervised contrastive
learning (Khosla et al., NeurIPS 2020), SimMMDG (Dong et al., NeurIPS 2023),
CMRF (Fan et al., NeurIPS 2024); each function names its own.
"""
from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    'direction_distance', 'mix_projections', 'relative_norm_alignment',
    'split_distance', 'supervised_contrastive'
]


def relative_norm_alignment(embeddings: Sequence[Tensor]) -> Tensor:
    """RNA-Net: the batch-mean norms of all modalities shall be equal.

    The mean over pairs of (E||z_a|| / E||z_b|| - 1)^2, the norm of the
    earlier modality over that of the later.

    Args:
        embeddings (Sequence[Tensor]): z_m, (N, D_m) each; two or more.

    Returns:
        Tensor: Loss >= 0, shape ().
    """
    if len(embeddings) < 2:
        raise ValueError('expected the embeddings of two or more modalities, '
                         f'got {len(embeddings)}')
    norms = [
        torch.linalg.vector_norm(_wide(z), dim=1).mean() for z in embeddings
    ]
    ratios = torch.stack([a / b for a, b in combinations(norms, 2)])
    return (ratios - 1).square().mean()


def supervised_contrastive(projections: Tensor,
                           labels: Tensor,
                           temperature: float = 0.1,
                           base_temperature: float = 0.07) -> Tensor:
    """SupCon over all modalities: clips of one class attract each other.

    Each of the V * N projections is an anchor; its positives are all others
    with its label, whichever the modality, and its contrast are all others.

    Args:
        projections (Tensor): Unit vectors, (V, N, D), V modalities.
        labels (Tensor): Classes, (N,).
        temperature (float): Divides the similarities. Defaults to 0.1.
        base_temperature (float): The loss is multiplied by temperature /
            base_temperature, as in the code that the authors of SupCon
            released. Defaults to 0.07.

    Returns:
        Tensor: Loss, shape (); an anchor without positives counts 0.
    """
    if projections.dim() != 3 or projections.shape[1] != len(labels):
        raise ValueError('projections must be (V, N, D) and labels (N,): got '
                         f'{tuple(projections.shape)} and '
                         f'{tuple(labels.shape)}')
    views = projections.shape[0]
    flat = _wide(projections).flatten(0, 1)
    own = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    similar = _wide(flat @ flat.T) / temperature
    log_prob = similar - similar.masked_fill(
        own, -torch.inf).logsumexp(1, keepdim=True)
    classes = labels.repeat(views)
    positive = (classes[:, None] == classes[None]) & ~own
    total = log_prob.masked_fill(~positive, 0.0).sum(1)
    mean = total / positive.sum(1).clamp_min(1)
    return -(temperature / base_temperature) * mean.mean()


def direction_distance(first: Tensor, second: Tensor) -> Tensor:
    """SimMMDG, CMRF: how far two embeddings' directions lie apart.

    The batch mean of ||a/||a|| - b/||b|| ||_2, in [0, 2].

    Args:
        first (Tensor): a, (N, D).
        second (Tensor): b, (N, D); gradients reach both.

    Returns:
        Tensor: Distance, shape ().
    """
    if first.shape != second.shape:
        raise ValueError('expected two tensors of one shape (N, D), got '
                         f'{tuple(first.shape)} and {tuple(second.shape)}')
    apart: Tensor = F.normalize(_wide(first), dim=1) - F.normalize(
        _wide(second), dim=1)
    distances: Tensor = torch.linalg.vector_norm(apart, dim=1)
    return distances.mean()


def split_distance(embedding: Tensor) -> Tensor:
    """SimMMDG: how far the shared and the specific half lie apart.

    The mean squared difference of the first and the second half; the method
    makes it large.

    Args:
        embedding (Tensor): z, (N, D), D even.

    Returns:
        Tensor: Distance >= 0, shape ().
    """
    if embedding.shape[1] % 2:
        raise ValueError('an embedding is split into two equal halves: its '
                         f'size must be even, got {embedding.shape[1]}')
    shared, specific = _wide(embedding).chunk(2, dim=1)
    return F.mse_loss(shared, specific)


def mix_projections(own: Tensor, other: Tensor, draw: Tensor) -> Tensor:
    """CMRF: a target between two modalities that stays nearer its own.

    share * own + (1 - share) * other with share = max(draw, 1 - draw), which
    has the law of a draw from a symmetric distribution, given that it exceeds
    one half.

    Args:
        own (Tensor): Projections of the modality that is taught, (N, D).
        other (Tensor): Those of another one, (N, D).
        draw (Tensor): In [0, 1], (N,), from Beta(.1, .1) in the paper.

    Returns:
        Tensor: Mixed projections, (N, D); not of unit length.
    """
    share: Tensor = torch.maximum(draw, 1 - draw)[:, None]
    return share * own + (1 - share) * other


def _wide(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
