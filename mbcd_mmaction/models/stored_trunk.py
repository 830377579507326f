"""Trunk features that were computed beforehand, in the place of an input.

A batch read from a cache (docs/trunk_cache.md) has, beside ``inputs``, the
entry ``trunk_features``: for each modality with a frozen trunk a tuple of
pathways, each the list of N clips' features (S, C, ...). Its data samples say
in ``trunk_cache`` which trunk these came from.
"""
import hashlib
import json
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmaction.utils import SampleList
from mmengine.model import BaseModel
from torch import Tensor, nn

from .branch import Branch
from .stages import Features

__all__ = ['StoredFeatures', 'describe_trunk', 'take_stored', 'trunk_of']

# What changes a trunk's output and is neither a weight nor a trunk module.
_SETTINGS = ('resample_rate', 'speed_ratio', 'with_pool1', 'with_pool2',
             'maxpool', 'pool2')
_KNOWN: weakref.WeakKeyDictionary[
    Branch, tuple[tuple, dict[str, str]]] = weakref.WeakKeyDictionary()


class StoredFeatures:
    """Features at the cut, where a modality's input is expected.

    It knows just what the recognizer asks of an input before the trunk.

    Args:
        features (Tensor or tuple): (N, S, C, ...), or one of each pathway;
            (N * S, C, ...) once ``flatten`` has been called.
    """

    def __init__(self, features: Features) -> None:
        self.features = features

    @property
    def shape(self) -> torch.Size:
        """Shape of the first pathway."""
        return self._first.shape

    def __len__(self) -> int:
        return len(self._first)

    def flatten(self, start_dim: int, end_dim: int) -> 'StoredFeatures':
        """As of a tensor, in each pathway."""
        return self._map(lambda x: x.flatten(start_dim, end_dim))

    def repeat_interleave(self, repeats: int, dim: int) -> 'StoredFeatures':
        """As of a tensor, in each pathway."""
        return self._map(lambda x: x.repeat_interleave(repeats, dim))

    def new_tensor(self, *args: Any, **kwargs: Any) -> Tensor:
        """As of a tensor: on this device."""
        return self._first.new_tensor(*args, **kwargs)

    @property
    def _first(self) -> Tensor:
        if isinstance(self.features, Tensor):
            return self.features
        return self.features[0]

    def _map(self, change) -> 'StoredFeatures':
        if isinstance(self.features, Tensor):
            return StoredFeatures(change(self.features))
        return StoredFeatures(tuple(change(x) for x in self.features))


def trunk_of(branch: Branch, x: Tensor | StoredFeatures,
             passes: int = 1) -> Features:
    """Step 1 of one modality: run its trunk, or take what is stored.

    Args:
        branch (Branch): The modality's encoder.
        x (Tensor or StoredFeatures): (N, C, ...).
        passes (int): See :meth:`Branch.trunk`. Defaults to 1.
    """
    if isinstance(x, StoredFeatures):
        return x.features
    return branch.trunk(x, passes)


def take_stored(model: BaseModel, inputs: Mapping[str, Tensor],
                stored: Mapping[str, Sequence],
                data_samples: SampleList | None) -> dict[str, Any]:
    """Put stored features among the inputs, if they are of this model.

    Args:
        model (BaseModel): A recognizer with ``branches``.
        inputs (Mapping[str, Tensor]): Modality to (N, S, C, ...), of those
            that are not stored.
        stored (Mapping[str, Sequence]): Modality to its pathways, each N
            tensors (S, C, ...) or one (N, S, C, ...), of any precision.
        data_samples (list[ActionDataSample]): N samples with
            ``trunk_cache``, modality to :func:`describe_trunk`.

    Returns:
        dict: ``inputs`` and, for each stored modality of the model,
        :class:`StoredFeatures` in the precision of its weights.

    Raises:
        ValueError: They come from another trunk, or the trunk is not frozen.
    """
    wanted = {m: x for m, x in stored.items() if m in model.branches}
    for m in wanted:
        _check_trunk(model, m, data_samples)
    return {
        **inputs,
        **{m: _stack(x, model.branches[m].norm.weight) for m, x in
           wanted.items()}
    }


def describe_trunk(model: BaseModel, modality: str) -> dict[str, str]:
    """All that decides a frozen trunk's output, in short words.

    Args:
        model (BaseModel): A recognizer with ``branches``.
        modality (str): One of them.

    Returns:
        dict[str, str]: ``backbone``, ``trunk_stages``, and digests of the
        ``layers``, ``weights`` and ``preprocessing``.
    """
    branch = model.branches[modality]
    # Hashing takes a while: once, and again where a tensor has changed.
    state = tuple((x.data_ptr(), x._version)
                  for module in branch.trunk_modules
                  for x in (*module.parameters(), *module.buffers()))
    known = _KNOWN.get(branch)
    if known is None or known[0] != state:
        known = _KNOWN[branch] = (state, dict(
            backbone=type(branch.backbone).__name__,
            trunk_stages=str(branch.stages.num_trunk_stages),
            layers=_layers_digest(branch),
            weights=_weights_digest(branch),
            preprocessing=_preprocessing(model, modality)))
    return dict(known[1])


def _check_trunk(model: BaseModel, modality: str,
                 data_samples: SampleList | None) -> None:
    """Refuse features that the model's own trunk would not have given."""
    if not model.branches[modality].shares_trunk:
        raise ValueError(
            f'stored trunk features of {modality!r}: expected a model with '
            "trunk_norm='frozen', got 'batch', whose trunk depends on the "
            'batch. Leave trunk_cache out of the datasets')
    own = describe_trunk(model, modality)
    for sample in data_samples or [{}]:
        said = (sample.get('trunk_cache') or {}).get(modality)
        if said == own:
            continue
        if said is None:
            raise ValueError(
                f'stored trunk features of {modality!r}: expected data '
                'samples whose trunk_cache says of which trunk they are, as '
                'a dataset with trunk_cache=... gives them')
        differing = ', '.join(
            f'{key}: stored {said.get(key)}, model {value}'
            for key, value in own.items() if said.get(key) != value)
        raise ValueError(
            f'the stored features of {modality!r} are of another trunk than '
            f"the model's: {differing}. Write them anew with "
            'tools/data/cache_trunk.py and the same weights '
            '(docs/trunk_cache.md)')


def _stack(pathways: Sequence, like: Tensor) -> StoredFeatures:
    """Batched features; one pathway is a tensor, several are a tuple."""
    # cast first: CPU autocast to bfloat16 cannot stack float16
    batched = tuple(
        x.to(like) if isinstance(x, Tensor) else torch.stack(
            [clip.to(like) for clip in x]) for x in pathways)
    return StoredFeatures(batched[0] if len(batched) == 1 else batched)


def _layers_digest(branch: Branch) -> str:
    """Digest of the trunk's modules and of how it samples frames."""
    backbone = branch.backbone
    paths = [backbone, *(getattr(backbone, name) for name in
                         ('slow_path', 'fast_path')
                         if hasattr(backbone, name))]
    settings = [(name, str(getattr(path, name)))
                for path in paths for name in _SETTINGS
                if hasattr(path, name)]
    text = '\n'.join([str(settings), *map(repr, branch.trunk_modules)])
    return _short(hashlib.sha256(text.encode()))


def _weights_digest(branch: Branch) -> str:
    """Digest of the trunk's tensors."""
    digest = hashlib.sha256()
    for i, module in enumerate(branch.trunk_modules):
        for name, tensor in module.state_dict().items():
            digest.update(f'{i}.{name} {tensor.dtype} '
                          f'{list(tensor.shape)}'.encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return _short(digest)


def _preprocessing(model: BaseModel, modality: str) -> str:
    """Mean, deviation and layout that the data preprocessor applies."""
    parts = getattr(model.data_preprocessor, 'preprocessors', {})
    if modality not in parts:
        return 'none'
    part: nn.Module = parts[modality]
    values = {
        name: value
        for name, value in vars(part).items()
        if isinstance(value, (bool, str)) and name[0] != '_'
        and name != 'training'
    }
    values.update((name, buffer.flatten().tolist())
                  for name, buffer in part.named_buffers())
    return f'{type(part).__name__} {json.dumps(values, sort_keys=True)}'


def _short(digest) -> str:
    return digest.hexdigest()[:16]
