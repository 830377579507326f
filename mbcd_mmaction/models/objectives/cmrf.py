"""CMRF (Fan et al., NeurIPS 2024)."""
from collections.abc import Mapping
from itertools import permutations

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from ...functional import (
    direction_distance,
    mix_projections,
    supervised_contrastive,
)
from .base import Objective, TrainingBatch
from .layers import Projection

__all__ = ['CMRF']


@MODELS.register_module()
class CMRF(Objective):
    """Uni-modal losses, contrast, and mixed targets of an averaged network.

    It needs ``SimpleMovingAverageHook``, which keeps that network and says
    when it begins to teach.

    Args:
        unimodal_weight (float): Defaults to 2.0.
        contrast_weight (float): Defaults to 3.0.
        distill_weight (float): Defaults to 3.0.
        modality_weights (Mapping[str, float]): What a modality counts in the
            uni-modal and the distillation terms; 1 where not named. Defaults
            to half for audio.
        mix_concentration (float): Both parameters of the Beta distribution
            of the shares. Defaults to 0.1.
        temperature (float): Of the contrast. Defaults to 0.1.
        hidden_dims (int): Defaults to 2048.
        projection_dims (int): Defaults to 128.
        **kwargs: See Objective.
    """
    trains_unimodal = True

    def __init__(self,
                 unimodal_weight: float = 2.0,
                 contrast_weight: float = 3.0,
                 distill_weight: float = 3.0,
                 modality_weights: Mapping[str, float] | None = None,
                 mix_concentration: float = 0.1,
                 temperature: float = 0.1,
                 hidden_dims: int = 2048,
                 projection_dims: int = 128,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.unimodal_weight = unimodal_weight
        self.contrast_weight = contrast_weight
        self.distill_weight = distill_weight
        given = dict(audio=0.5) if modality_weights is None else (
            modality_weights)
        self.modality_weights = {m: given.get(m, 1.0)
                                 for m in self.embed_dims}
        self.mix_concentration = mix_concentration
        self.temperature = temperature
        self.projections = nn.ModuleDict({
            m: Projection(dims, hidden_dims, projection_dims)
            for m, dims in self.embed_dims.items()
        })

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """'loss_cls', 'loss_<m>', 'loss_contrast', 'loss_distill'."""
        if batch.averaged is None:
            raise RuntimeError(
                'CMRF trains and reports with an averaged network: add '
                "dict(type='SimpleMovingAverageHook') to custom_hooks")
        projected = self.project(batch.embeddings)
        losses = dict(
            loss_cls=F.cross_entropy(batch.fused_logits, batch.labels))
        for m, logits in batch.unimodal_logits.items():
            weight = self.unimodal_weight * self.modality_weights[m]
            losses[f'loss_{m}'] = weight * F.cross_entropy(
                logits, batch.labels)
        losses['loss_contrast'] = (
            self.contrast_weight * supervised_contrastive(
                torch.stack(list(projected.values())), batch.labels,
                self.temperature))
        if batch.averaged.teaches:
            losses['loss_distill'] = (
                self.distill_weight * self.distillation(projected, batch))
        return losses

    def project(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """z_k to unit vectors by modality, (N, projection_dims)."""
        return {m: self.projections[m](z) for m, z in embeddings.items()}

    def distillation(self, projected: Mapping[str, Tensor],
                     batch: TrainingBatch) -> Tensor:
        """The weighted sum over ordered pairs of modalities, shape ()."""
        with torch.no_grad():
            targets = batch.averaged.module.objective.project(
                batch.averaged_embeddings())
        shape = torch.tensor(self.mix_concentration)
        draws = torch.distributions.Beta(shape, shape)
        total = projected[next(iter(projected))].new_zeros(())
        for own, other in permutations(projected, 2):
            draw = draws.sample((len(batch.labels), )).to(targets[own])
            mixed = mix_projections(targets[own], targets[other], draw)
            total = total + self.modality_weights[own] * direction_distance(
                projected[own], mixed)
        return total
