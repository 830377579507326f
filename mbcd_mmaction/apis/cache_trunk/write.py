"""Running of the trunks over a split, into its cache."""
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ...datasets import ClipReadError
from ...datasets.extraction.outputs import FolderLock
from ...datasets.trunk_cache import CacheWriter, Column
from ...datasets.trunk_cache import layout as bits
from ...datasets.trunk_cache.writer import check_same
from ...models import MultiModalRecognizer
from .plan import Plan, features_of
from .rows import ViewRows

_SAVE_EVERY = 20.0  # seconds
_FAILURE = ('modality', 'path', 'reason', 'clip_id')


def write_cache(plan: Plan, model: MultiModalRecognizer,
                batch_size: int = 16, workers: int = 0,
                progress: Callable[[int, int], None] | None = None) -> int:
    """Store one split, or what a stopped run has not stored of it.

    Args:
        plan (Plan): What to store.
        model (MultiModalRecognizer): See :func:`build_model`.
        batch_size (int): Rows that go through the trunks at once. Defaults
            to 16.
        workers (int): Processes that read. Defaults to 0: this one.
        progress (Callable, optional): Called with the rows done and all.

    Returns:
        int: Rows that were written now.

    Raises:
        ValueError: There is another cache; samples differ in shape; a
            feature is out of the precision's range.
        ClipReadError, RuntimeError: A clip cannot be read, and the dataset's
            ``on_error`` is 'raise'.
    """
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    with FolderLock(plan.folder.parent):
        if plan.is_done:
            check_same(plan.folder, plan.description, plan.keys)
            return 0
        writer = CacheWriter(plan.folder, plan.description, plan.keys)
        begun = writer.rows
        try:
            _run(writer, plan, model, batch_size, workers, progress)
        finally:
            writer.close()
        return plan.description.rows - begun


def _run(writer: CacheWriter, plan: Plan, model: MultiModalRecognizer,
         batch_size: int, workers: int,
         progress: Callable[[int, int], None] | None) -> None:
    """Append all rows that are missing, and finish."""
    made_of = plan.description
    keys = np.empty_like(plan.keys)
    keys[plan.order] = plan.keys
    rows = ViewRows(plan.dataset, plan.order, keys, made_of.views,
                    made_of.seed, writer.rows)
    loader = DataLoader(rows, batch_size, num_workers=workers,
                        collate_fn=list)
    saved = time.monotonic()
    try:
        for items in loader:
            _append(writer, model, made_of.columns, items)
            if progress is not None:
                progress(writer.rows, made_of.rows)
            if time.monotonic() - saved > _SAVE_EVERY:
                writer.save()
                saved = time.monotonic()
    except BaseException:
        writer.save()  # whole batches only: append is the last thing done
        raise
    writer.finish()


def _append(writer: CacheWriter, model: MultiModalRecognizer,
            columns: Sequence[Column],
            items: Sequence[dict[str, Any] | ClipReadError]) -> None:
    """Compute and add the rows of one batch."""
    good = [i for i, item in enumerate(items)
            if not isinstance(item, ClipReadError)]
    failures = {
        i: [getattr(items[i], name) for name in _FAILURE]
        for i in range(len(items)) if i not in good
    }
    arrays = {
        column.file: np.zeros((len(items), *column.shape),
                              column.stored_type)
        for column in columns
    }
    if good:
        _check_shapes([items[i] for i in good])
        found = features_of(model, [items[i] for i in good])
        for column in columns:
            values = found[column.modality][max(0, column.pathway)]
            arrays[column.file][good] = _stored(column, values)
    flags = np.array([_flags(item, model.modalities) for item in items],
                     np.uint16)
    writer.append(arrays, flags, failures)


def _stored(column: Column, values: Tensor) -> np.ndarray:
    """Values as their file has them."""
    if values.shape[1:] != column.shape:
        raise ValueError(
            f'{column.file}: expected features of the shape {column.shape}, '
            f'as those of the first clip, got {tuple(values.shape[1:])}')
    cast = values.to(getattr(torch, column.dtype))
    if cast.is_floating_point() and not torch.isfinite(cast).all():
        raise ValueError(
            f'{column.file}: features that {column.dtype} cannot hold (the '
            f'largest is {values.abs().max():.3g}): expected '
            '--precision bf16 or fp32 to do')
    return column.to_numpy(cast)


def _check_shapes(items: Sequence[dict[str, Any]]) -> None:
    """Refuse samples that would have to be padded."""
    for name in items[0]['inputs']:
        shapes = {tuple(item['inputs'][name].shape) for item in items}
        if len(shapes) > 1:
            raise ValueError(
                f'{name}: expected samples of one shape, got '
                f'{sorted(shapes)}; a cache needs pipelines that give one')


def _flags(item: dict[str, Any] | ClipReadError,
           modalities: Sequence[str]) -> int:
    """The word of a row, see ``layout``."""
    if isinstance(item, ClipReadError):
        return bits.UNREADABLE
    sample = item['data_samples']
    mask = sample.get('modality_mask') or {}
    word = sum(bits.ABSENT << i for i, name in enumerate(modalities)
               if not mask.get(name, True))
    empty = sample.get('audio_empty')
    if empty is not None:
        word |= bits.EMPTY_SOUND_SAID | (bits.EMPTY_SOUND if empty else 0)
    return word
