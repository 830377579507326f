"""The fused loss of a recognizer on some clips, as its weights are moved."""
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from mmaction.utils import SampleList
from torch import Tensor, nn

from ...analysis.flatness import cross_entropy
from ...models import MultiModalRecognizer
from ...models.branch import Branch
from ...models.stored_trunk import StoredFeatures

__all__ = ['fused_loss', 'fused_weights', 'hold_clips']

Held = list[tuple[dict[str, Tensor | StoredFeatures], SampleList]]


def fused_weights(model: MultiModalRecognizer) -> dict[str, nn.Parameter]:
    """What trained and enters the fused prediction, by name.

    The encoders' trainable tensors and those of the fusion head; neither
    frozen trunks, nor uni-modal heads, nor what a training objective adds.
    """
    parts = dict(branches=model.branches, fusion_head=model.fusion_head)
    return {
        f'{part}.{name}': param
        for part, module in parts.items()
        for name, param in module.named_parameters() if param.requires_grad
    }


@torch.no_grad()
def hold_clips(model: MultiModalRecognizer,
               loader: Iterable[Mapping]) -> Held:
    """Read a loader once, and run the frozen trunks once.

    Args:
        model (MultiModalRecognizer): In eval mode.
        loader (Iterable): Of :func:`~mbcd_mmaction.apis.figures.trained
            .build_loader`.

    Returns:
        list: Each batch's inputs, with features in the place of inputs where
        a modality has a trunk, and its data samples; on the model's device.
    """
    held = []
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        inputs = {
            m: _behind_trunk(model.branches[m], x)
            for m, x in data['inputs'].items() if m in model.branches
        }
        held.append((inputs, data['data_samples']))
    return held


@torch.no_grad()
def fused_loss(model: MultiModalRecognizer, held: Held) -> float:
    """Cross-entropy of the fused prediction; unread clips are left out.

    Args:
        model (MultiModalRecognizer): In eval mode, so that BatchNorm keeps
            the running statistics it has.
        held (list): Of :func:`hold_clips`, with the same trunks.
    """
    scores, labels = [], []
    for inputs, samples in held:
        read = [s for s in model.predict(inputs, samples)
                if not s.get('skipped', False)]
        scores += [s.pred_score for s in read]
        labels += [int(s.gt_label) for s in read]
    return cross_entropy(torch.stack(scores).double().cpu().numpy(),
                         np.array(labels))


def _behind_trunk(branch: Branch, x: Tensor) -> Tensor | StoredFeatures:
    """(N, S, C, ...) at the cut; the input itself without a trunk."""
    if not branch.has_trunk:
        return x
    features = branch.trunk(x.flatten(0, 1))
    if isinstance(features, Tensor):
        return StoredFeatures(features.unflatten(0, x.shape[:2]))
    return StoredFeatures(tuple(f.unflatten(0, x.shape[:2])
                                for f in features))
