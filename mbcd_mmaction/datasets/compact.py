"""Long lists of clips: rows are kept, records are made when they are read."""
import pickle
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from .multimodal import MultiModalDataset, label_problem
from .records import UniqueNames

Row = tuple[Any, ...]


class PackedRows:
    """Pickled objects in one array of bytes.

    MMEngine keeps its records so, for a reason: a worker that was forked
    shares the pages of the array, while a look at a Python object writes its
    reference count and so copies its page. Here they are packed one by one;
    MMEngine packs a list of all.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array('q')

    def append(self, item: Any) -> None:
        """Pack one more."""
        # Protocol 2 is the shortest for small tuples: 4 frames each object.
        self.append_packed(pickle.dumps(item, protocol=2))

    def append_packed(self, item: bytes | np.ndarray) -> None:
        """Take one that is packed."""
        self._bytes += item.tobytes() if isinstance(item, np.ndarray) else item
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Any]:
        start = 0
        view = memoryview(self._bytes)
        for end in self._ends:
            yield pickle.loads(view[start:end])
            start = end

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """MMEngine's ``data_bytes`` (uint8) and ``data_address`` (int64).

        Both are views: nothing may be appended any more.
        """
        return (np.frombuffer(self._bytes, np.uint8),
                np.frombuffer(self._ends, np.int64))


class CompactDataset(MultiModalDataset):
    """A dataset that keeps of each clip what its annotation says of it.

    A record holds the whole path of every file, and is several times as long
    as the row it comes from. So rows are read one by one, checked and
    packed, without a list of them, and :meth:`get_data_info` makes the
    record.

    Workers that are forked (the configs' default on Linux) share the rows.
    One that is spawned gets a copy of its own.

    Where ``serialize_data`` is False, or a subclass overrides
    ``load_data_list`` or ``filter_data``, MMEngine's way is gone: a list of
    all records.
    """

    @abstractmethod
    def rows(self) -> Iterator[tuple[str, int, Row]]:
        """For each clip its name, its label, and its row."""

    @abstractmethod
    def record_of(self, row: Row) -> dict[str, Any]:
        """The record of a row, see :class:`MultiModalDataset`."""

    @abstractmethod
    def files(self) -> Iterable[str]:
        """Where the rows are read, for errors."""

    def load_data_list(self) -> list[dict[str, Any]]:
        """All records at once; :meth:`full_init` does without."""
        return [self._whole(item) for item in self._items()]

    def full_init(self) -> None:
        """Read the rows, if they are not there yet."""
        if self._fully_initialized:
            return
        if not self._packs_rows():
            super().full_init()
            return
        packed = PackedRows()
        for item in self._items():
            packed.append(item)
        self.data_bytes, self.data_address = packed.arrays()
        if self._indices is not None:
            self._keep(self._indices)
        self.open_cache()
        self._fully_initialized = True

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Record number ``idx``, plus ``sample_idx``."""
        return self._whole(super().get_data_info(idx))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of one clip, for the host's ``ClassBalancedDataset``."""
        return [super().get_data_info(idx)['label']]

    def _packs_rows(self) -> bool:
        """Whether nobody asks for a list of records."""
        own = type(self)
        return (self.serialize_data
                and own.load_data_list is CompactDataset.load_data_list
                and own.filter_data is BaseDataset.filter_data)

    def _items(self) -> Iterator[dict[str, Any]]:
        """``label`` and ``row`` of each clip, and a name that it was given.

        Raises:
            ValueError: There are none, or a label is not a whole number in
                [0, num_classes).
        """
        unique = UniqueNames()
        nothing = True
        for name, label, row in self.rows():
            nothing = False
            problem = label_problem(label, self.num_classes)
            if problem:
                raise self.label_error(problem, self.record_of(row))
            clip_id = unique(name)
            item = dict(label=label, row=row)
            yield item if clip_id == name else dict(item, clip_id=clip_id)
        if nothing:
            raise self.no_clips(self.files())

    def _whole(self, item: dict[str, Any]) -> dict[str, Any]:
        """The record of an item; one that is whole stays as it is."""
        if 'row' not in item:
            return item
        return {**self.record_of(item.pop('row')), **item}

    def _keep(self, indices: int | list[int]) -> None:
        """Leave the rows that ``indices`` names, as MMEngine reads it."""
        self.data_list = range(len(self.data_address))
        numbers = self._get_unserialized_subset(indices)
        self.data_list = []
        kept = PackedRows()
        ends = self.data_address
        for number in (n % len(ends) for n in numbers):
            start = ends[number - 1] if number else 0
            kept.append_packed(self.data_bytes[start:ends[number]])
        self.data_bytes, self.data_address = kept.arrays()
