"""Clips without a modality: what predicts, and how it is packed."""
from collections.abc import Mapping, Sequence

from mmaction.structures import ActionDataSample
from mmaction.utils import SampleList
from torch import Tensor, float32

from .views import check_known

__all__ = ['Presence']


class Presence:
    """Which modalities predict, for the batch and for each clip.

    Args:
        known (Sequence[str]): The recognizer's modalities.
        inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...).
        data_samples (list[ActionDataSample], optional): With an optional
            ``modality_mask``, modality to whether the clip has it.
        wanted (Sequence[str], optional): The subset that predicts.

    Raises:
        ValueError: If nothing is left to predict from, for some clip.
    """

    def __init__(self,
                 known: Sequence[str],
                 inputs: Mapping[str, Tensor],
                 data_samples: SampleList | None,
                 wanted: Sequence[str] | None = None) -> None:
        check_known(wanted or (), known)
        self.modalities = [
            m for m in known if m in inputs and (not wanted or m in wanted)
        ]
        if not self.modalities:
            raise ValueError(
                f'no modality to predict from: the model has {list(known)}, '
                f'the inputs {sorted(inputs)}, asked for {wanted}')
        some = inputs[self.modalities[0]]
        self.num_samples = len(some)
        self._rows = [
            self._row(sample) for sample in data_samples or ()
        ] or [set(self.modalities)] * self.num_samples
        if not all(self._rows):
            raise ValueError('a clip has none of the modalities '
                             f'{self.modalities}: it cannot be predicted')
        self.mask = {
            m: some.new_tensor([[m in row] for row in self._rows],
                               dtype=float32)
            for m in known
        }

    def has(self, modality: str, index: int) -> bool:
        """Whether a modality of one clip predicts."""
        return modality in self._rows[index]

    def fill_absent(self, embeddings: Mapping[str, Tensor],
                    dims: Mapping[str, int]) -> dict[str, Tensor]:
        """Zeros for modalities without input (they are masked anyway).

        Args:
            embeddings (Mapping[str, Tensor]): z_k (N * S, D_k) of those that
                predict.
            dims (Mapping[str, int]): D_k of all.
        """
        some = next(iter(embeddings.values()))
        return {
            m: embeddings[m] if m in embeddings else some.new_zeros(
                (len(some), size))
            for m, size in dims.items()
        }

    def pack(self, data_samples: SampleList | None, fused: Tensor,
             scores: Mapping[str, Tensor]) -> SampleList:
        """Put scores into data samples, new ones where there are none.

        Args:
            data_samples (list[ActionDataSample], optional): N samples.
            fused (Tensor): Fused scores, (N, K).
            scores (Mapping[str, Tensor]): Each modality's, (N, K).
        """
        samples = data_samples or [
            ActionDataSample() for _ in range(self.num_samples)
        ]
        for i, sample in enumerate(samples):
            sample.set_pred_score(fused[i])
            sample.set_pred_label(fused[i].argmax(-1))
            sample.set_field({m: scores[m][i] for m in scores
                              if self.has(m, i)}, 'modality_scores')
        return samples

    def _row(self, sample) -> set[str]:
        mask = sample.get('modality_mask') or {}
        return {m for m in self.modalities if mask.get(m, True)}
