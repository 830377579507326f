"""Mask modalities in the fused prediction: adaptive (Eq. 2-4) or fixed."""
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..functional import (
    confidence,
    dominance_ratio,
    drop_prob,
    sample_keep_mask,
)

__all__ = [
    'AdaptiveModalityDropout', 'BaseModalityDropout', 'FixedModalityDropout'
]


class BaseModalityDropout(nn.Module, metaclass=ABCMeta):
    """A dict of embeddings and one of logits in, masked embeddings out.

    Active in training mode only; in eval mode every mask is 1.

    Args:
        granularity (str): 'sample' draws a coin per clip, 'batch' one for
            the whole batch. Defaults to 'sample'.
    """

    def __init__(self, granularity: str = 'sample') -> None:
        super().__init__()
        if granularity not in ('sample', 'batch'):
            raise ValueError("granularity must be 'sample' or 'batch', got "
                             f'{granularity!r}')
        self.granularity = granularity

    @abstractmethod
    def drop_prob(
            self,
            logits: Mapping[str, Tensor],
            ratio: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Probability that each modality is dropped.

        Args:
            logits (Mapping[str, Tensor]): Uni-modal logits, (N, K) each.
            ratio (Mapping[str, Tensor], optional): Their dominance ratios
                (Eq. 3) where they are known already.

        Returns:
            dict[str, Tensor]: Probabilities of shape () each.
        """

    def keep_mask(
        self,
        logits: Mapping[str, Tensor],
        ratio: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Draw the masks for one batch.

        Args:
            logits (Mapping[str, Tensor]): Uni-modal logits, (N, K) each.
            ratio (Mapping[str, Tensor], optional): As in ``drop_prob``.

        Returns:
            tuple: ``keep_mask``, modality to (N, 1) or (1, 1) with 1 = kept,
            and ``drop_prob``, modality to the probability it was drawn with.
        """
        if not self.training:
            ones = {m: x.new_ones((len(x), 1)) for m, x in logits.items()}
            return ones, {m: x.new_zeros(()) for m, x in logits.items()}
        probs = self.drop_prob(logits, ratio)
        num_samples = len(next(iter(logits.values())))
        return self._draw(probs, num_samples), probs

    def forward(self, embeddings: Mapping[str, Tensor],
                logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mask embeddings (N, D_k) by what the logits (N, K) say."""
        mask, _ = self.keep_mask(logits)
        return {m: z * mask[m].to(z.dtype) for m, z in embeddings.items()}

    def _draw(self, probs: dict[str, Tensor],
              num_samples: int) -> dict[str, Tensor]:
        return sample_keep_mask(probs, num_samples, self.granularity)


@MODELS.register_module()
class AdaptiveModalityDropout(BaseModalityDropout):
    """Eq. 2-4: the further a modality runs ahead, the likelier it is dropped.

    The least confident modality is never dropped, so a clip always keeps
    one.

    Args:
        base_drop_prob (float): Floor of the probability for modalities that
            run ahead, [0, 1). Defaults to 0.0, the paper's.
        granularity (str): As in :class:`BaseModalityDropout`.
    """

    def __init__(self,
                 base_drop_prob: float = 0.0,
                 granularity: str = 'sample') -> None:
        super().__init__(granularity)
        if not 0.0 <= base_drop_prob < 1.0:
            raise ValueError('base_drop_prob must lie in [0, 1), got '
                             f'{base_drop_prob}')
        self.base_drop_prob = base_drop_prob

    def drop_prob(
            self,
            logits: Mapping[str, Tensor],
            ratio: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Eq. 4, after Eq. 2 and 3 where no ratio is given."""
        if ratio is None:
            ratio = dominance_ratio(confidence(logits))
        return drop_prob(ratio, self.base_drop_prob)


@MODELS.register_module()
class FixedModalityDropout(BaseModalityDropout):
    """Every modality is dropped with one probability, whatever it learns.

    The middle row of the paper's dropout table. A clip that would lose all
    its modalities keeps one of them, chosen at random.

    Args:
        prob (float): Probability in [0, 1). Defaults to 0.5.
        granularity (str): As in :class:`BaseModalityDropout`.
    """

    def __init__(self, prob: float = 0.5, granularity: str = 'sample') -> None:
        super().__init__(granularity)
        if not 0.0 <= prob < 1.0:
            raise ValueError(f'prob must lie in [0, 1), got {prob}')
        self.prob = prob

    def drop_prob(
            self,
            logits: Mapping[str, Tensor],
            ratio: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The same number for each modality."""
        return {m: x.new_tensor(self.prob) for m, x in logits.items()}

    def _draw(self, probs: dict[str, Tensor],
              num_samples: int) -> dict[str, Tensor]:
        mask = super()._draw(probs, num_samples)
        stacked = torch.stack(list(mask.values()))  # (M, N or 1, 1)
        rescued = torch.randint(
            len(mask), stacked.shape[1:], device=stacked.device)
        empty = stacked.sum(0) == 0
        return {
            modality: torch.where(empty & (rescued == i), 1.0, kept)
            for i, (modality, kept) in enumerate(mask.items())
        }
