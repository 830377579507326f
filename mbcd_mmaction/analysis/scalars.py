"""Read back what a training logged."""
import json
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ['Scalars', 'best_epoch', 'read_scalars']


@dataclass
class Scalars:
    """What MMEngine's LocalVisBackend wrote.

    Attributes:
        train (list[dict]): One row a logged iteration, with ``step`` the
            iteration counted from 1.
        val (list[dict]): One row a validation, with ``step`` the epoch
            counted from 1.
    """
    train: list[dict] = field(default_factory=list)
    val: list[dict] = field(default_factory=list)


def read_scalars(work_dir: str | Path) -> Scalars:
    """Read all runs of a work directory, resumed ones after their start.

    Where a run was killed as it wrote, its torn last line is left out.

    Args:
        work_dir (str | Path): ``--work-dir`` of a training.

    Raises:
        FileNotFoundError: If nothing was logged there.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'no scalars in {work_dir}: expected <time>/vis_data/'
            'scalars.json, as tools/train.py writes it')
    train, val = {}, {}
    for file in files:
        *lines, tail = file.read_text().split('\n')
        for line in [*lines, tail] if _is_whole(tail) else lines:
            row = json.loads(line)
            if 'loss' in row:
                train[row['step']] = row
            elif 'acc/top1' in row:
                val[row['step']] = row
    return Scalars([train[k] for k in sorted(train)],
                   [val[k] for k in sorted(val)])


def best_epoch(scalars: Scalars) -> tuple[int, dict]:
    """The epoch that in-domain selection takes: best fused top-1, first.

    Returns:
        tuple[int, dict]: Epoch counted from 1, and its validation metrics.
    """
    if not scalars.val:
        raise ValueError('no validation was logged: nothing to select by')
    best = max(scalars.val, key=lambda row: row['acc/top1'])
    return best['step'], best


def _is_whole(line: str) -> bool:
    """Whether the last line was written to its end, if not with a break."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
