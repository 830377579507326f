"""From where a training that was cut off goes on."""
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from ...analysis.scalars import read_scalars

__all__ = ['resume_point']


def resume_point(work_dir: str | Path, train_cfg: Mapping) -> Path | None:
    """The newest checkpoint from which a training goes on unchanged.

    MMEngine writes an epoch's checkpoint before it validates that epoch, and
    a training that is resumed from it does not catch up on the validation:
    the epoch could not be selected any more. So a checkpoint is taken only
    if every validation that was due up to its epoch has been and if it knows
    the best score of these. A torn file is passed over.

    Args:
        work_dir (str | Path): ``--work-dir`` of the training.
        train_cfg (Mapping): Of its config: ``max_epochs`` and, with
            MMEngine's defaults of 1, ``val_begin`` and ``val_interval``.

    Returns:
        Path | None: The checkpoint, None where the training starts anew.
    """
    work_dir = Path(work_dir)
    try:
        scores = {row['step']: row['acc/top1']
                  for row in read_scalars(work_dir).val}
    except FileNotFoundError:
        return None
    found = {int(re.findall(r'(\d+)\.pth$', path.name)[0]): path
             for path in work_dir.glob('epoch_*.pth')}
    for epoch in sorted(found, reverse=True):
        seen = [scores.get(e) for e in _validated(train_cfg, epoch)]
        info = _runtime_info(found[epoch])
        if None not in seen and info is not None and (
                math.isclose(info.get('best_score', math.nan), max(seen))
                if seen else 'best_score' not in info):
            return found[epoch]
    return None


def _validated(train_cfg: Mapping, epoch: int) -> list[int]:
    """The epochs up to ``epoch`` that MMEngine's EpochBasedTrainLoop
    validates: every n-th, and the last."""
    interval = train_cfg.get('val_interval', 1)
    return [e for e in range(train_cfg.get('val_begin', 1), epoch + 1)
            if e % interval == 0 or e == train_cfg['max_epochs']]


def _runtime_info(checkpoint: Path) -> dict | None:
    """What MMEngine kept beside the weights; None of a torn file."""
    try:
        state = torch.load(checkpoint, map_location='cpu', mmap=True,
                           weights_only=True)
        return state['message_hub']['runtime_info']
    except Exception:  # half a file fails in many ways
        return None
