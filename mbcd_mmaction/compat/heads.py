"""Classification heads that stop training in two cases."""
import functools
import types

import torch

from .late_patch import patch_when_imported

HEADS = {
    'mmaction.models.heads.base': 'BaseHead',
    'mmaction.models.heads.omni_head': 'OmniHead',
    'mmaction.models.heads.rgbpose_head': 'RGBPoseHead',
}


class _Scores(dict):
    """Scores by branch, (N, K) each, that also have the size of one."""

    def size(self) -> torch.Size:
        return next(iter(self.values())).size()


def cure_heads() -> bool:
    """Let heads train in bfloat16, and RGBPoseHead on any batch.

    Symptoms: ``TypeError: Got unsupported ScalarType BFloat16`` from any
    head under bfloat16 autocast; ``'dict' object has no attribute 'size'``
    from RGBPoseHead where a batch, also a last and smaller one, holds as many
    clips as there are classes. Causes: ``loss_by_feat`` and
    ``loss_by_scores`` hand the scores to NumPy for the top-k accuracy, and
    NumPy has no bfloat16; RGBPoseHead's ``loss_by_feat`` asks its dict of
    scores for their size, as BaseHead asks a tensor. What they compute stays
    as it is: only the scores they are given are replaced.

    Returns:
        bool: True; each module is looked at when it is imported, and only
        what fails there is replaced.
    """
    patch_when_imported(tuple(HEADS), _cure)
    return True


def _cure(module: types.ModuleType) -> None:
    """Wrap the methods of a module's head that show a defect."""
    head = getattr(module, HEADS[module.__name__], None)
    if not hasattr(head, 'loss_by_feat'):  # another version
        return
    if not hasattr(head, 'loss_by_scores'):  # one tensor of scores
        if _stops(head.loss_by_feat, 'BFloat16', _half_scores(), _samples(2)):
            _give_scores(head, 'loss_by_feat', _upcast)
        return
    if _stops(head.loss_by_scores, 'BFloat16', _half_scores(),
              torch.arange(2)):
        _give_scores(head, 'loss_by_scores', _upcast)
    if _stops(head.loss_by_feat, "'dict' object",
              dict(rgb=_half_scores().float()), _samples(2)):
        _give_scores(head, 'loss_by_feat', _Scores)


def _give_scores(head: type, name: str, convert) -> None:
    """Have a method of the head be given converted scores."""
    method = getattr(head, name)

    @functools.wraps(method)
    def wrapped(self, cls_scores, *args, **kwargs):
        return method(self, convert(cls_scores), *args, **kwargs)

    setattr(head, name, wrapped)


def _upcast(scores: torch.Tensor) -> torch.Tensor:
    """Single precision in place of bfloat16."""
    return scores.float() if scores.dtype == torch.bfloat16 else scores


def _stops(method, symptom: str, *args) -> bool:
    """Whether a head of two classes shows the symptom at these arguments.

    A method that fails in another way is another version's, which asks more
    of a head than this one has: it is left alone.
    """
    head = types.SimpleNamespace(
        num_classes=2, topk=(1, ), label_smooth_eps=0, loss_components=(),
        loss_weights=(), loss_cls=lambda scores, labels: scores.sum())
    try:
        method(head, *args)
    except Exception as error:
        return symptom in str(error)
    return False


def _half_scores() -> torch.Tensor:
    return torch.zeros(2, 2, dtype=torch.bfloat16)


def _samples(count: int) -> list[types.SimpleNamespace]:
    return [types.SimpleNamespace(gt_label=torch.tensor([i]))
            for i in range(count)]
