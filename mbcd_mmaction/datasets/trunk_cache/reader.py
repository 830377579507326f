"""A dataset's samples from a cache."""
import copy
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.datasets.transforms import PackActionInputs

from ...version import __version__
from ..errors import ClipReadError
from . import layout
from .layout import Description, clip_key, differences, plain

_ANEW = 'Write it with tools/data/cache_trunk.py (docs/trunk_cache.md)'


class TrunkCache:
    """Stored samples of a dataset, each of one of its clip's views.

    Files are mapped, not read: several loader workers and processes share
    the pages of those that they use.

    Args:
        folder (str): The cache of one split.
        pipeline (Sequence[dict | Callable]): The dataset's pipeline, which
            must be the one that was run; its last step packs the samples.
    """

    def __init__(self, folder: str,
                 pipeline: Sequence[dict | Callable]) -> None:
        self.folder = Path(folder)
        self.pipeline = plain(list(pipeline))
        self._files: dict[str, np.ndarray] | None = None
        self._failures: dict[str, list[str]] = {}
        self.description: Description | None = None

    def open(self) -> 'TrunkCache':
        """Map the files, if they are what this dataset would write.

        Raises:
            FileNotFoundError: There is no whole cache.
            ValueError: It is of another pipeline or version.
        """
        if self._files is not None:
            return self
        self.description = self._read_description()
        names = [layout.CLIPS, layout.FLAGS,
                 *(column.file for column in self.description.columns)]
        self._files = {
            name: np.load(self.folder / name, mmap_mode='r')
            for name in names
        }
        failures = self.folder / layout.FAILURES
        if failures.exists():
            self._failures = json.loads(failures.read_text('utf-8'))
        return self

    def sample(self, record: Mapping[str, Any],
               pack: PackActionInputs) -> dict[str, Any]:
        """What the dataset gives for a clip, from a random view.

        Args:
            record (Mapping): The clip's record.
            pack (PackActionInputs): The last step of the pipeline.

        Returns:
            dict: ``inputs`` of modalities without a trunk,
            ``trunk_features`` (modality to a tuple of pathways (S, C, ...)
            in the stored precision) of the others, and ``data_samples``.

        Raises:
            ClipReadError: It could not be read when the cache was written.
            ValueError: The clip or a modality is not in the cache.
        """
        self.open()
        row = self._row_of(record)
        flags = int(self._files[layout.FLAGS][row])
        if flags & layout.UNREADABLE:
            raise ClipReadError(*self._failures[str(row)])
        wanted = self._wanted(record)
        stored: dict[str, list[torch.Tensor]] = {name: [] for name in wanted}
        for column in self.description.columns:
            if column.modality in wanted:
                # a copy: the map cannot be written to, which torch wants
                stored[column.modality].append(column.to_tensor(
                    np.array(self._files[column.file][row])))
        trunks = self.description.trunks
        raw = {m: x[0].numpy() for m, x in stored.items()
               if trunks[m] is None}
        data = repack(record, pack, raw,
                      self._findings(flags, wanted))
        data['trunk_features'] = {
            m: tuple(x) for m, x in stored.items() if m not in raw
        }
        data['data_samples'].set_metainfo(dict(trunk_cache={
            m: trunks[m] for m in data['trunk_features']}))
        return data

    def __getstate__(self) -> dict[str, Any]:
        # a map would be sent to another process as the whole file
        return {**self.__dict__, '_files': None}

    def _read_description(self) -> Description:
        path = self.folder / layout.META
        if not path.is_file():
            raise FileNotFoundError(
                f'trunk_cache: expected a cache in {self.folder}, found no '
                f'{layout.META} there. {_ANEW}')
        data = json.loads(path.read_text('utf-8'))
        own = dict(format=layout.FORMAT, package=__version__,
                   pipeline=self.pipeline)
        found = list(differences({key: data.get(key) for key in own}, own))
        if found:
            raise ValueError(
                f'trunk_cache: {self.folder} was written by another pipeline '
                f'or version: {"; ".join(found[:5])}. {_ANEW}, or set '
                'trunk_cache=None')
        return Description.from_dict(data)

    def _row_of(self, record: Mapping[str, Any]) -> int:
        """Row of one view of a clip."""
        keys = self._files[layout.CLIPS]
        key = np.uint64(clip_key(record))
        place = int(np.searchsorted(keys, key))
        if place == len(keys) or keys[place] != key:
            raise ValueError(
                f'trunk_cache: clip {record["clip_id"]} is not in '
                f'{self.folder}, which holds {len(keys)} clips. {_ANEW} for '
                'all domains and clips of this dataset')
        views = self.description.views
        view = int(np.random.randint(views)) if views > 1 else 0
        return place * views + view

    def _wanted(self, record: Mapping[str, Any]) -> list[str]:
        """The modalities of a record, all of them in the cache."""
        known = list(self.description.trunks)
        wanted = record.get('modalities', known)
        absent = [name for name in wanted if name not in known]
        if absent:
            raise ValueError(
                f'trunk_cache: {self.folder} holds the modalities {known}, '
                f'the dataset asks for {absent} too. {_ANEW}')
        return [name for name in known if name in wanted]

    def _findings(self, flags: int, wanted: Sequence[str]) -> dict[str, Any]:
        """What the pipeline had found out about a row."""
        found: dict[str, Any] = {}
        if flags & layout.EMPTY_SOUND_SAID:
            found['audio_empty'] = bool(flags & layout.EMPTY_SOUND)
        mask = {
            name: not flags & layout.ABSENT << i
            for i, name in enumerate(self.description.trunks)
            if name in wanted
        }
        if not all(mask.values()):
            found['modality_mask'] = mask
        return found


def repack(record: Mapping[str, Any], pack: PackActionInputs,
           raw: Mapping[str, np.ndarray],
           findings: Mapping[str, Any]) -> dict[str, Any]:
    """Pack a record as its pipeline would, without the trunks' inputs.

    Args:
        record (Mapping): The clip's record.
        pack (PackActionInputs): The last step of its pipeline.
        raw (Mapping): Modality to array, of those without a trunk.
        findings (Mapping): Further results, e.g. ``audio_empty``.
    """
    packer = copy.copy(pack)
    packer.collect_keys = tuple(raw)
    return packer.transform({**record, **raw, **findings})


def packing_step(transforms: Sequence[Callable]) -> PackActionInputs:
    """The last transform, if samples can be packed without the others.

    Raises:
        ValueError: It is no packing transform.
    """
    last = transforms[-1] if len(transforms) else None
    if isinstance(last, PackActionInputs):
        return last
    raise ValueError(
        'trunk_cache: expected the last step of the pipeline to be '
        f'PackMultiModalInputs, got {type(last).__name__}')


def folder_bytes(folder: str | os.PathLike) -> int:
    """Bytes of all files of a cache."""
    return sum(path.stat().st_size for path in Path(folder).iterdir())
