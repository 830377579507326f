"""MOOSA (Dong et al., ECCV 2024), for a closed set of classes."""
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ...functional import (
    entropy_weighted_loss,
    jigsaw_puzzles,
    prediction_entropy,
    sample_permutations,
)
from .base import TrainingBatch
from .simmmdg import SimMMDG

__all__ = ['MOOSA']


@MODELS.register_module()
class MOOSA(SimMMDG):
    """Entropy-weighted heads, jigsaw puzzles, masked translation.

    Args:
        jigsaw_weight (float): Defaults to 1.0.
        entropy_weight (float): Of the entropy of all heads, which is made
            small. Defaults to 0.001.
        mask_ratio (float): Share of an embedding that is set to 0 before its
            translation; .3 or .7 in the paper. Defaults to 0.7.
        num_chunks (int): P, parts of each embedding; the released commands
            take 2 with three modalities and 4 with two. Defaults to 2.
        num_permutations (int): Defaults to 128.
        permutation_seed (int): The permutations stay the same in all runs
            with this seed. Defaults to 0.
        jigsaw_hidden_dims (int): Defaults to 512.
        **kwargs: See SimMMDG.
    """
    trains_unimodal = True

    def __init__(self,
                 jigsaw_weight: float = 1.0,
                 entropy_weight: float = 0.001,
                 mask_ratio: float = 0.7,
                 num_chunks: int = 2,
                 num_permutations: int = 128,
                 permutation_seed: int = 0,
                 jigsaw_hidden_dims: int = 512,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.jigsaw_weight = jigsaw_weight
        self.entropy_weight = entropy_weight
        self.mask_ratio = mask_ratio
        self.num_chunks = num_chunks
        # numbers of a fixed table: no tensor, no device
        self.permutations = sample_permutations(
            len(self.embed_dims) * num_chunks, num_permutations,
            permutation_seed).tolist()
        self.jigsaw_head = nn.Sequential(
            nn.Linear(sum(self.embed_dims.values()), jigsaw_hidden_dims),
            nn.ReLU(), nn.Linear(jigsaw_hidden_dims, num_permutations))

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """'loss_cls', the terms of SimMMDG, 'loss_jigsaw', 'loss_entropy'."""
        heads = [*batch.unimodal_logits.values(), batch.fused_logits]
        puzzles, targets = jigsaw_puzzles(
            list(batch.embeddings.values()), self.num_chunks,
            self.permutations)
        entropy = torch.stack([prediction_entropy(x).mean() for x in heads])
        return dict(
            loss_cls=entropy_weighted_loss(heads, batch.labels),
            loss_jigsaw=self.jigsaw_weight * F.cross_entropy(
                self.jigsaw_head(puzzles), targets),
            loss_entropy=self.entropy_weight * entropy.mean(),
            **self.embedding_losses(batch))

    def corrupt(self, embedding: Tensor) -> Tensor:
        """Entries set to 0 at random; the others are not rescaled."""
        masked = torch.rand_like(embedding) < self.mask_ratio
        return embedding.masked_fill(masked, 0.0)
