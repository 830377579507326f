"""What lies in the folder of a cache, and what it says of itself.

``meta.json`` is the description. ``clips.npy`` holds the clips' keys in
ascending order, ``flags.npy`` a word for each row, and one ``.npy`` file for
each column its values: views x clips rows, the views of a clip in a row.
``failures.json`` is there only if clips could not be read.
"""
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import torch

from ...version import __version__

FORMAT = 1
META, CLIPS, FLAGS = 'meta.json', 'clips.npy', 'flags.npy'
FAILURES = 'failures.json'
# Bits of a row's word; those from ABSENT on are one for each modality.
UNREADABLE, EMPTY_SOUND_SAID, EMPTY_SOUND, ABSENT = 1, 2, 4, 8


@dataclass(frozen=True)
class Column:
    """One tensor of each row.

    Attributes:
        modality (str): Whose it is.
        pathway (int): Which of its features, or -1 for the input of a
            modality without a trunk.
        shape (tuple[int]): (S, C, ...), S the views of a clip at once.
        dtype (str): PyTorch's name of the type.
    """
    modality: str
    pathway: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def file(self) -> str:
        """Name of its file."""
        part = 'input' if self.pathway < 0 else str(self.pathway)
        return f'{self.modality}.{part}.npy'

    @property
    def stored_type(self) -> np.dtype:
        """NumPy's type; it has no bfloat16, whose bits stand as int16."""
        name = 'int16' if self.dtype == 'bfloat16' else self.dtype
        return np.dtype(name)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape)) * self.stored_type.itemsize

    def to_numpy(self, x: torch.Tensor) -> np.ndarray:
        """Tensors of this type as they are stored."""
        x = x.contiguous()
        if self.dtype == 'bfloat16':
            x = x.view(torch.int16)
        return x.numpy()

    def to_tensor(self, x: np.ndarray) -> torch.Tensor:
        """The inverse of :meth:`to_numpy`."""
        tensor = torch.from_numpy(x)
        return (tensor.view(torch.bfloat16)
                if self.dtype == 'bfloat16' else tensor)


@dataclass(frozen=True)
class Description:
    """What a cache is made of; all of it must agree for it to be read.

    Attributes:
        pipeline (list): The dataset's pipeline, see :func:`plain`.
        trunks (dict): Modality to the description of its trunk, None for
            one without.
        columns (list[Column]): The tensors.
        clips (int): Number of clips.
        views (int): Rows of each clip.
        seed (int): What the views were drawn from.
    """
    pipeline: list
    trunks: dict[str, dict[str, str] | None]
    columns: list[Column]
    clips: int
    views: int
    seed: int

    @property
    def rows(self) -> int:
        """Rows of each column."""
        return self.clips * self.views

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it, with the version of format and package."""
        return plain(dict(format=FORMAT, package=__version__, **asdict(self)))

    def as_bytes(self) -> bytes:
        """Content of ``meta.json``."""
        return (json.dumps(self.as_dict(), indent=1) + '\n').encode()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> 'Description':
        """The inverse of :meth:`as_dict`."""
        columns = [Column(**{**column, 'shape': tuple(column['shape'])})
                   for column in data['columns']]
        return cls(data['pipeline'], data['trunks'], columns, data['clips'],
                   data['views'], data['seed'])

    def size(self) -> int:
        """Bytes of all files, but for ``failures.json``."""
        headers = [header(np.dtype(np.uint64), (self.clips, )),
                   header(np.dtype(np.uint16), (self.rows, ))]
        headers += [header(column.stored_type, (self.rows, *column.shape))
                    for column in self.columns]
        row = 2 + sum(column.row_bytes for column in self.columns)
        return (len(self.as_bytes()) + sum(map(len, headers))
                + 8 * self.clips + row * self.rows)


def header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The beginning of a ``.npy`` file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, dict(
        descr=np.lib.format.dtype_to_descr(dtype), fortran_order=False,
        shape=shape))
    return file.getvalue()


def write_keys(file: BinaryIO, keys: np.ndarray) -> None:
    """Write ``clips.npy``."""
    file.write(header(keys.dtype, keys.shape))
    file.write(keys.tobytes())


def clip_key(record: Mapping[str, Any]) -> int:
    """A clip's number in caches: of its name and its time, not its path.

    Args:
        record (Mapping): A record of a
            :class:`~mbcd_mmaction.datasets.MultiModalDataset`.
    """
    text = json.dumps([record['clip_id'], record.get('start'),
                       record.get('stop')], default=repr)
    digest = hashlib.sha256(text.encode('utf-8', 'surrogateescape')).digest()
    return int.from_bytes(digest[:8], 'little')


def plain(value: Any) -> Any:
    """A config's value in JSON's types; objects by their ``repr``."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def differences(stored: Any, own: Any, where: str = '') -> Iterator[str]:
    """Where two plain values differ, in words.

    Args:
        stored, own: What :func:`plain` gives.
        where (str): Name of the values. Defaults to ''.

    Yields:
        str: 'pipeline[0].aligned: stored False, now True' and such.
    """
    if isinstance(stored, Mapping) and isinstance(own, Mapping):
        for key in dict.fromkeys([*stored, *own]):
            yield from differences(stored.get(key, 'nothing'),
                                   own.get(key, 'nothing'),
                                   f'{where}.{key}' if where else str(key))
    elif (isinstance(stored, Sequence) and isinstance(own, Sequence)
          and not isinstance(stored, str) and len(stored) == len(own)):
        for i, pair in enumerate(zip(stored, own, strict=True)):
            yield from differences(*pair, f'{where}[{i}]')
    elif stored != own:
        yield f'{where}: stored {stored}, now {own}'
