"""Batches of clips with several views, and the names of modalities."""
from collections.abc import Mapping, Sequence

import torch
from mmaction.utils import SampleList
from torch import Tensor

__all__ = [
    'check_complete', 'check_known', 'check_modalities', 'flatten_views',
    'labels_of', 'of_modalities', 'repeat_views'
]


# loss_cls and loss_consistency are the model's; 'fused' is its output.
_TAKEN = ('fused', 'cls', 'consistency')


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


def of_modalities(inputs: Mapping[str, Tensor],
                  modalities: Sequence[str]) -> dict[str, Tensor]:
    """The inputs of the given modalities, all of them required."""
    missing = [m for m in modalities if m not in inputs]
    if missing:
        raise ValueError(f'inputs lack the modalities {missing}: got '
                         f'{sorted(inputs)}, expected {list(modalities)}')
    return {m: inputs[m] for m in modalities}


def check_modalities(modalities: Sequence[str] | None,
                     branches: Mapping[str, dict]) -> list[str]:
    """The modalities of a recognizer, in order.

    Args:
        modalities (Sequence[str], optional): Some of the branches' names;
            None for all.
        branches (Mapping[str, dict]): The configured branches.

    Raises:
        ValueError: For unknown, repeated, single or reserved names.
    """
    names = list(branches) if modalities is None else list(modalities)
    unknown = [m for m in names if m not in branches]
    if unknown:
        raise ValueError(f'modalities must be keys of branches: got '
                         f'{unknown}, branches has {sorted(branches)}')
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError('expected at least two different modalities, got '
                         f'{names}')
    taken = [m for m in names if m in _TAKEN
             or m.startswith(('probe_', 'distill_'))]
    if taken:
        raise ValueError(f'{taken} name other outputs and losses of the '
                         'model: call the modalities something else')
    if any('loss' in m for m in names):
        raise ValueError("the host sums every log entry with 'loss' in its "
                         f'name: call the modalities {names} something else')
    return names
