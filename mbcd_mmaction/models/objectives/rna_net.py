"""RNA-Net (Planamente et al., WACV 2022)."""
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor

from ...functional import relative_norm_alignment
from .base import Objective, TrainingBatch

__all__ = ['RNANet']


@MODELS.register_module()
class RNANet(Objective):
    """Cross-entropy, and equal norms of all modalities' embeddings.

    Args:
        norm_weight (float): Weight of the alignment. Defaults to 1.0.
        **kwargs: See Objective.
    """

    def __init__(self, norm_weight: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.norm_weight = norm_weight

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """'loss_cls' and 'loss_norm'."""
        norm = relative_norm_alignment(list(batch.embeddings.values()))
        return dict(
            loss_cls=F.cross_entropy(batch.fused_logits, batch.labels),
            loss_norm=self.norm_weight * norm)
