"""Batches of clips with several views, and clips without a modality."""
from collections.abc import Mapping, Sequence

import torch
from mmaction.utils import SampleList
from torch import Tensor

__all__ = [
    'Presence', 'check_complete', 'check_known', 'flatten_views', 'labels_of',
    'repeat_views'
]


def flatten_views(
        inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Make each view of a clip a row of the batch.

    Args:
        inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...); a modality
            with S = 1 is repeated to the others' S.

    Returns:
        tuple: Modality to (N * S, C, ...), and S.

    Raises:
        ValueError: If modalities disagree about N or S.
    """
    counts = {m: x.shape[1] for m, x in inputs.items()}
    num_views = max(counts.values())
    sizes = {m: len(x) for m, x in inputs.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f'modalities differ in the number of clips: {sizes}')
    if any(count not in (1, num_views) for count in counts.values()):
        raise ValueError('every modality must have the same number of views '
                         f'of a clip, or one: got {counts}')
    return {
        m: repeat_views(x.flatten(0, 1), num_views // counts[m])
        for m, x in inputs.items()
    }, num_views


def repeat_views(x: Tensor, num_views: int) -> Tensor:
    """(N, ...) to (N * S, ...), the S copies in a row."""
    return x if num_views == 1 else x.repeat_interleave(num_views, dim=0)


def labels_of(data_samples: SampleList) -> Tensor:
    """The labels of a batch, (N,), int64."""
    labels = [sample.gt_label for sample in data_samples]
    if any(label.numel() != 1 for label in labels):
        raise ValueError('expected one label a clip, got gt_label of shapes '
                         f'{sorted({tuple(x.shape) for x in labels})}')
    return torch.cat([label.reshape(1) for label in labels])


def check_known(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse modalities that the model does not have (ValueError)."""
    unknown = [m for m in wanted if m not in known]
    if unknown:
        raise ValueError(f'unknown modalities {unknown}: the model has '
                         f'{list(known)}')


def check_complete(data_samples: SampleList,
                   modalities: Sequence[str]) -> None:
    """Refuse to train on clips whose ``modality_mask`` says one is absent.

    The zeros that stand for it would be learnt from as if they were data.
    """
    for sample in data_samples:
        mask = sample.get('modality_mask') or {}
        absent = [m for m in modalities if not mask.get(m, True)]
        if absent:
            raise ValueError(
                f'training needs every modality of {list(modalities)}: clip '
                f'{sample.get("clip_id", "")!r} lacks {absent}')


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
                               dtype=torch.float32)
            for m in known
        }

    def has(self, modality: str, index: int) -> bool:
        """Whether a modality of one clip predicts."""
        return modality in self._rows[index]

    def _row(self, sample) -> set[str]:
        mask = sample.get('modality_mask') or {}
        return {m for m in self.modalities if mask.get(m, True)}
