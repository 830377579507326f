"""Load a backbone's pretrained weights, completely or not at all."""
import pickle
import re
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

__all__ = ['load_backbone', 'match_keys', 'take_checkpoint']

# What published files put before the backbone's own names.
PREFIXES = ('', 'backbone.', 'audnet.', 'module.', 'module.backbone.',
            'encoder.')
InitCfg = dict | list | None
STATE_KEYS = ('state_dict', 'model_state_dict', 'model')


def take_checkpoint(
        backbone: Mapping[str, Any],
        checkpoint: str | None = None,
        init_cfg: InitCfg = None
) -> tuple[dict[str, Any], str | None, InitCfg]:
    """The one source of a backbone's weights, however it was written.

    MMAction2's 3D and audio backbones pass over an ``init_cfg`` of type
    'Pretrained' without a word (they override ``init_weights``), and their
    ``pretrained`` loads nothing of a recognizer's file. Here the first means
    what it says, and the second is an error.

    Args:
        backbone (Mapping): Config of a backbone.
        checkpoint (str, optional): The branch's ``checkpoint``.
        init_cfg (dict or list[dict], optional): The branch's own.

    Returns:
        tuple: ``backbone`` without 'Pretrained', the path or URL (None for
        random weights), and ``init_cfg`` without 'Pretrained'.

    Raises:
        ValueError: Two sources, or ``pretrained`` in the config.
    """
    config = dict(backbone)
    config['init_cfg'], inner = _without_pretrained(config.get('init_cfg'))
    init_cfg, outer = _without_pretrained(init_cfg)
    if config['init_cfg'] is None:
        del config['init_cfg']
    for place in _pretrained_places(config):
        raise ValueError(
            f'{place} would load nothing of the file of a recognizer and '
            "not say so: give it as the branch's `checkpoint=...` and set "
            f'{place.partition("=")[0]}=None')
    sources = [*inner, *outer,
               *([checkpoint] if checkpoint is not None else [])]
    if len(sources) > 1:
        raise ValueError(
            f'expected one source of the weights of {config.get("type")}, '
            f'got {sources}: give `checkpoint` or a Pretrained init_cfg')
    return config, sources[0] if sources else None, init_cfg


def _without_pretrained(init_cfg: InitCfg) -> tuple[InitCfg, list[str]]:
    """The other initialisers, and the files of those that load one."""
    items = init_cfg if isinstance(init_cfg, (list, tuple)) else (
        [init_cfg] if init_cfg else [])
    files = [item['checkpoint'] for item in items
             if item.get('type') == 'Pretrained']
    others = [item for item in items if item.get('type') != 'Pretrained']
    return (others or None) if files else init_cfg, files


def _pretrained_places(config: Mapping[str, Any]) -> list[str]:
    """Where a backbone's config, or a pathway's in it, sets pretrained."""
    places = []
    for name in ('', 'slow_pathway', 'fast_pathway'):
        part = config.get(name) if name else config
        if isinstance(part, Mapping) and part.get('pretrained') is not None:
            lead = f'{name}.' if name else ''
            places.append(f'{lead}pretrained={part["pretrained"]!r}')
    return places


def load_backbone(backbone: nn.Module,
                  checkpoint: str,
                  adapt_stem: bool = False) -> None:
    """Fill every tensor of a backbone from a checkpoint file.

    The prefix is found by rule, and torchvision's ResNet names (VGGSound's
    file has them) are translated to MMAction2's. Classifier heads in the
    file are left over.

    Args:
        backbone (nn.Module): Overwritten.
        checkpoint (str): Local path or URL, read by MMEngine's loader.
        adapt_stem (bool): Whether a first convolution for another number of
            input channels is averaged over them and repeated: w'_c = mean
            over j of w_j for each own channel c (Wang et al., "Temporal
            Segment Networks", ECCV 2016, cross modality pre-training). So
            flow and sound may start from RGB weights. Defaults to False: an
            error.

    Raises:
        FileNotFoundError: If a local file is absent, or a URL out of reach.
        ValueError: If a tensor of the backbone has no match, or one of
            another shape; nothing is overwritten then.
    """
    try:
        content = CheckpointLoader.load_checkpoint(checkpoint, 'cpu')
    except (FileNotFoundError, URLError) as error:
        raise FileNotFoundError(
            f'no weights at {checkpoint!r} ({error}): expected the '
            f'checkpoint of {type(backbone).__name__}; '
            'docs/data_preparation.md tells where to get it, and '
            '`checkpoint=None` in the branch trains from random weights'
        ) from error
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{checkpoint}: refused {_refused(error)}, which weights do not '
            'need and which may run code. If the file is trusted, keep its '
            "tensors alone: torch.save(torch.load(FILE, weights_only=False)"
            "['state_dict'], NEW_FILE)") from error
    try:
        matched = match_keys(_state_of(content), backbone.state_dict(),
                             adapt_stem)
    except ValueError as error:
        raise ValueError(f'{checkpoint} does not fit '
                         f'{type(backbone).__name__}: {error}') from error
    backbone.load_state_dict(matched, strict=False)
    print_log(f'loaded {len(matched)} tensors of {type(backbone).__name__} '
              f'from {checkpoint}', 'current')


def _refused(error: Exception) -> str:
    """What torch.load found in a file and would not call."""
    found = re.search(r'GLOBAL ([\w.]+) was', str(error))
    return found.group(1) if found else f'its content ({error})'


def _state_of(content: object) -> dict[str, Tensor]:
    """The tensors by name, out of what wraps them in a file."""
    if not isinstance(content, dict):
        raise ValueError('expected a dict of tensors, got '
                         f'{type(content).__name__}')
    for key in STATE_KEYS:
        if isinstance(content.get(key), dict):
            return content[key]
    return content


def match_keys(state: dict[str, Tensor],
               expected: dict[str, Tensor],
               adapt_stem: bool = False) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors to a backbone's names.

    Args:
        state (dict): Name to tensor, as published.
        expected (dict): The backbone's own state dict.
        adapt_stem (bool): See :func:`load_backbone`. Defaults to False.

    Returns:
        dict: The tensors of ``expected``'s names (BatchNorm's batch counter
        may be absent).

    Raises:
        ValueError: If tensors are missing, have another shape or belong to
            a larger network.
    """
    candidates = []
    for prefix in PREFIXES:
        stripped = {
            name[len(prefix):]: value
            for name, value in state.items() if name.startswith(prefix)
        }
        candidates.append(stripped)
        candidates.append({
            _torchvision_to_host(name): value
            for name, value in stripped.items()
        })
    best = max(candidates, key=lambda names: len(expected.keys() & names))
    needed = [n for n in expected if not n.endswith('num_batches_tracked')]
    missing = [name for name in needed if name not in best]
    if missing:
        raise ValueError(
            f'the file lacks {len(missing)} of {len(needed)} tensors: '
            f'{_listed(missing)}; it has {list(state)[:5]} ...')
    if adapt_stem:
        best = {name: _adapted(value, expected[name]) if name in expected
                else value for name, value in best.items()}
    wrong = [
        f'{name}: file {tuple(best[name].shape)}, model '
        f'{tuple(value.shape)}' for name, value in expected.items()
        if name in best and best[name].shape != value.shape
    ]
    if wrong:
        raise ValueError(
            'tensors of another shape in the file: ' + '; '.join(wrong[:5]) +
            ('. Only the input channels of the first convolution differ: '
             'adapt_stem=True in the branch averages and repeats them'
             if len(wrong) == 1 and not adapt_stem and _is_stem(
                 *_shapes_of(best, expected)) else ''))
    # a deeper network of the same width holds all of a shallower one's
    parts = {name.partition('.')[0] for name in expected}
    surplus = [name for name in best
               if name not in expected and name.partition('.')[0] in parts]
    if surplus:
        raise ValueError(f'the file has {len(surplus)} tensors more, for '
                         f'example {surplus[:5]}: a deeper network?')
    return {name: best[name] for name in expected if name in best}


def _listed(missing: list[str]) -> str:
    """All missing tensors, those of one stage together."""
    groups: dict[str, list[str]] = {}
    for name in missing:
        stage = re.match(r'((?:\w+_path\.)?\w+)', name).group(1)
        groups.setdefault(stage, []).append(name)
    return '; '.join(
        f'{len(names)} of {stage} ({", ".join(map(repr, names[:5]))}'
        f'{", ..." if len(names) > 5 else ""})'
        for stage, names in groups.items())


def _shapes_of(state: dict[str, Tensor],
               expected: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The first pair of tensors, file's and own, that differ in shape."""
    return next((state[name], value) for name, value in expected.items()
                if name in state and state[name].shape != value.shape)


def _is_stem(value: Tensor, own: Tensor) -> bool:
    """Whether two weights differ in their input channels alone."""
    return (value.ndim == own.ndim and value.ndim > 2
            and value.shape[0] == own.shape[0]
            and value.shape[2:] == own.shape[2:])


def _adapted(value: Tensor, own: Tensor) -> Tensor:
    """A stem's weights for the model's own number of input channels."""
    if value.shape == own.shape or not _is_stem(value, own):
        return value
    mean = value.mean(1, keepdim=True)
    return torch.cat([mean] * own.shape[1], 1)


def _torchvision_to_host(name: str) -> str:
    """conv1.weight -> conv1.conv.weight, bn1.bias -> conv1.bn.bias, ..."""
    name = re.sub(r'(^|\.)bn(\d)\.', r'\1conv\2.bn.', name)
    name = re.sub(r'(^|\.)conv(\d)\.(weight|bias)$', r'\1conv\2.conv.\3',
                  name)
    name = name.replace('downsample.0.', 'downsample.conv.')
    return name.replace('downsample.1.', 'downsample.bn.')
