"""What will be stored, and how much room it takes."""
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from torch import Tensor

from ...datasets import MultiModalDataset
from ...datasets.trunk_cache import Column, Description, clip_key
from ...datasets.trunk_cache.layout import plain
from ...datasets.trunk_cache.reader import (
    folder_bytes,
    packing_step,
    repack,
)
from ...datasets.trunk_cache.writer import check_same
from ...models import MultiModalRecognizer
from ...models.stored_trunk import describe_trunk
from ..preflight import leaf_datasets
from .rows import ViewRows

DTYPES = dict(fp32=torch.float32, fp16=torch.float16, bf16=torch.bfloat16)


@dataclass
class Plan:
    """One split of a cache.

    Attributes:
        split (str): 'train', 'val' or 'test'.
        folder (Path): Where it goes.
        description (Description): What it holds.
        keys (np.ndarray): Clip keys, ascending.
        order (np.ndarray): The dataset's index of each.
        dataset (MultiModalDataset): Where the clips come from.
    """
    split: str
    folder: Path
    description: Description
    keys: np.ndarray
    order: np.ndarray
    dataset: MultiModalDataset

    @property
    def is_done(self) -> bool:
        """Whether something lies under the final name already."""
        return self.folder.exists()


def make_plans(cfg: Config, model: MultiModalRecognizer, cache: Path,
               splits: Sequence[str], views: int, precision: str,
               seed: int = 0) -> list[Plan]:
    """List the clips of each split and look at one of them.

    Args:
        cfg (Config): A whole config.
        model (MultiModalRecognizer): See :func:`build_model`.
        cache (Path): Folder of the splits' folders.
        splits (Sequence[str]): Loaders whose datasets are stored.
        views (int): Augmented views of each clip in training; datasets in
            test mode have one.
        precision (str): Of the features: 'fp32', 'fp16' or 'bf16'.
        seed (int): What the views are drawn from. Defaults to 0.

    Raises:
        ValueError: A dataset cannot be stored; the text says why.
    """
    if views < 1:
        raise ValueError(f'--views: expected 1 or more, got {views}')
    plans = []
    for split in splits:
        leaf = _only_leaf(cfg, split)
        pipeline = plain(list(leaf['pipeline']))
        dataset = DATASETS.build({**leaf, 'trunk_cache': None})
        if not isinstance(dataset, MultiModalDataset):
            raise ValueError(
                f'{split}: expected a MultiModalDataset, got '
                f'{type(dataset).__name__}')
        keys = np.array([clip_key(dataset.get_data_info(i))
                         for i in range(len(dataset))], np.uint64)
        order = np.argsort(keys, kind='stable')
        count = 1 if dataset.test_mode else views
        rows = ViewRows(dataset, order, keys, count, seed)
        trunks, columns = _look(model, dataset, rows, precision)
        plans.append(Plan(
            split, cache / split,
            Description(pipeline, trunks, columns, len(keys), count, seed),
            keys[order], order, dataset))
    return plans


def features_of(model: MultiModalRecognizer,
                items: Sequence[dict[str, Any]]) -> dict[str, list[Tensor]]:
    """What is stored of some samples: modality to its columns.

    Args:
        model (MultiModalRecognizer): In eval mode.
        items (Sequence[dict]): N samples as the dataset gives them.

    Returns:
        dict[str, list[Tensor]]: On the CPU: each pathway's features (N, S,
        C, ...), or the input (N, S, C, ...) of a modality without a trunk.
    """
    inputs = {m: [item['inputs'][m] for item in items]
              for m in model.modalities}
    raw = {m: [torch.stack(x)] for m, x in inputs.items()
           if not model.branches[m].has_trunk}
    batch = model.data_preprocessor(dict(
        inputs={m: x for m, x in inputs.items() if m not in raw},
        data_samples=[item['data_samples'] for item in items]), False)
    with torch.no_grad():
        return {
            m: raw[m] if m in raw else _features(model, m,
                                                 batch['inputs'][m])
            for m in model.modalities
        }


def say_size(plans: Sequence[Plan], cache: Path) -> tuple[str, bool]:
    """How many bytes the plans take on disk, said before they are.

    Returns:
        tuple[str, bool]: The text, and whether there is room for them.

    Raises:
        ValueError: A folder holds another cache.
    """
    lines, needed = [], 0
    for plan in plans:
        made_of = plan.description
        if plan.is_done:
            check_same(plan.folder, made_of, plan.keys)
        size = made_of.size()
        row = ' + '.join(f'{column.file[:-4]} {_bytes(column.row_bytes)}'
                         for column in made_of.columns)
        lines.append(
            f'{plan.split}: {made_of.clips} clips x {made_of.views} views x '
            f'({row}) = {_bytes(size)} ({size} bytes) in {plan.folder}'
            + (', done before' if plan.is_done else ''))
        if not plan.is_done:
            begun = plan.folder.with_name(f'.{plan.folder.name}.part')
            needed += size - (folder_bytes(begun) if begun.exists() else 0)
    place = next(p for p in (cache.absolute(), *cache.absolute().parents)
                 if p.exists())
    free = shutil.disk_usage(place).free
    lines.append(f'still to write: {_bytes(max(0, needed))}; free there: '
                 f'{_bytes(free)}')
    return '\n'.join(lines), needed <= free


def _only_leaf(cfg: Config, split: str) -> dict:
    """The config of a split's only dataset."""
    loader = cfg.get(f'{split}_dataloader', None)
    if loader is None:
        raise ValueError(f'the config has no {split}_dataloader: choose '
                         'others by --splits')
    leaves = list(leaf_datasets(loader['dataset']))
    if len(leaves) > 1:
        raise ValueError(
            f'{split}_dataloader has {len(leaves)} datasets: store each by a '
            'config of its own')
    return leaves[0]


def _look(model: MultiModalRecognizer, dataset: MultiModalDataset,
          rows: ViewRows, precision: str
          ) -> tuple[dict[str, dict | None], list[Column]]:
    """Trunks and columns, from the first sample that can be read."""
    item, index = rows.first()
    _check_repacked(dataset, index, item)
    trunks, columns = {}, []
    for m, parts in features_of(model, [item]).items():
        has_trunk = model.branches[m].has_trunk
        trunks[m] = describe_trunk(model, m) if has_trunk else None
        for i, part in enumerate(parts):
            dtype = DTYPES[precision] if has_trunk else part.dtype
            columns.append(Column(m, i if has_trunk else -1,
                                  tuple(part.shape[1:]),
                                  str(dtype).removeprefix('torch.')))
    return trunks, columns


def _check_repacked(dataset: MultiModalDataset, index: int,
                    item: dict[str, Any]) -> None:
    """Refuse pipelines that put more into samples than is stored."""
    sample = item['data_samples']
    found = {key: sample.get(key) for key in ('audio_empty', 'modality_mask')
             if sample.get(key) is not None}
    again = repack(dataset.get_data_info(index),
                   packing_step(dataset.pipeline.transforms), {},
                   found)['data_samples']
    lost = set(sample.all_keys()) - set(again.all_keys())
    if lost:
        raise ValueError(
            f'the pipeline puts {sorted(lost)} into data samples, which a '
            'cache does not keep: expected the fields of '
            'PackMultiModalInputs alone, without further keys')


def _features(model: MultiModalRecognizer, modality: str,
              x: Tensor) -> list[Tensor]:
    """The trunk's pathways, (N, S, C, ...) each."""
    features = model.branches[modality].trunk(x.flatten(0, 1))
    paths = [features] if isinstance(features, Tensor) else features
    return [path.unflatten(0, x.shape[:2]).cpu() for path in paths]


def _bytes(number: int) -> str:
    """A number of bytes in decimal units."""
    for unit in ('B', 'kB', 'MB', 'GB'):
        if number < 1000:
            return f'{number:.3g} {unit}'
        number /= 1000
    return f'{number:.3g} TB'
