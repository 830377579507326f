"""SimMMDG (Dong et al., NeurIPS 2023)."""
from itertools import permutations

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ...functional import (
    direction_distance,
    split_distance,
    supervised_contrastive,
)
from .base import Objective, TrainingBatch
from .layers import Projection, translator

__all__ = ['SimMMDG']


@MODELS.register_module()
class SimMMDG(Objective):
    """Split embeddings, contrast the shared halves, translate the whole.

    Args:
        translation_weight (float): Defaults to 0.1.
        contrast_weight (float): Defaults to 3.0.
        split_weight (float): Weight of the distance between the halves,
            which is made large. Defaults to 0.7.
        temperature (float): Of the contrast. Defaults to 0.1.
        hidden_dims (int): Width of translators and projections. Defaults to
            2048.
        projection_dims (int): Defaults to 128.
        **kwargs: See Objective.
    """

    def __init__(self,
                 translation_weight: float = 0.1,
                 contrast_weight: float = 3.0,
                 split_weight: float = 0.7,
                 temperature: float = 0.1,
                 hidden_dims: int = 2048,
                 projection_dims: int = 128,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        odd = {m: d for m, d in self.embed_dims.items() if d % 2}
        if odd:
            raise ValueError('embeddings are split into equal halves: '
                             f'expected even sizes, got {odd}')
        self.translation_weight = translation_weight
        self.contrast_weight = contrast_weight
        self.split_weight = split_weight
        self.temperature = temperature
        self.projections = nn.ModuleDict({
            m: Projection(dims // 2, hidden_dims, projection_dims)
            for m, dims in self.embed_dims.items()
        })
        self.translators = nn.ModuleDict({
            f'{a}_to_{b}': translator(self.embed_dims[a], hidden_dims,
                                      self.embed_dims[b])
            for a, b in permutations(self.embed_dims, 2)
        })

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """'loss_cls' and the method's three terms."""
        loss = F.cross_entropy(batch.fused_logits, batch.labels)
        return {'loss_cls': loss, **self.embedding_losses(batch)}

    def embedding_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """'loss_translation', 'loss_contrast' and 'loss_split' (<= 0)."""
        shared = {m: z.chunk(2, dim=1)[0]
                  for m, z in batch.embeddings.items()}
        projected = torch.stack(
            [self.projections[m](z) for m, z in shared.items()])
        contrast = supervised_contrastive(projected, batch.labels,
                                          self.temperature)
        split = torch.stack(
            [split_distance(z) for z in batch.embeddings.values()]).mean()
        return dict(
            loss_translation=self.translation_weight * self.translation(batch),
            loss_contrast=self.contrast_weight * contrast,
            loss_split=-self.split_weight * split)

    def translation(self, batch: TrainingBatch) -> Tensor:
        """The mean distance over ordered pairs of modalities, shape ()."""
        source = {m: self.corrupt(z) for m, z in batch.embeddings.items()}
        return torch.stack([
            direction_distance(self.translators[f'{a}_to_{b}'](source[a]),
                               batch.embeddings[b])
            for a, b in permutations(source, 2)
        ]).mean()

    def corrupt(self, embedding: Tensor) -> Tensor:
        """What is translated: here the embedding as it is."""
        return embedding
