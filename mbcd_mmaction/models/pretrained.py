"""Load a backbone's pretrained weights, completely or not at all."""
import logging
import os
import pickle
import re
from collections.abc import Collection, Mapping
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

__all__ = ['load_backbone', 'match_keys']

# What published files put before the backbone's own names.
PREFIXES = ('', 'backbone.', 'audnet.', 'module.', 'module.backbone.',
            'encoder.')
STATE_KEYS = ('state_dict', 'model_state_dict', 'model')
NAMES_SHOWN = 8


def load_backbone(backbone: nn.Module,
                  checkpoint: str,
                  prefix: str | None = None,
                  adapt_stem: bool = False,
                  owner: str | None = None) -> None:
    """Fill every tensor of a backbone from a checkpoint file.

    The prefix is found by rule, and torchvision's ResNet names (VGGSound's
    file has them) are translated to MMAction2's. Classifier heads in the
    file are left over.

    Args:
        backbone (nn.Module): Overwritten.
        checkpoint (str): Local path or URL, read by MMEngine's loader (which
            downloads a URL once, into torch's cache).
        prefix (str, optional): What stands before the backbone's names, if
            the rule does not find it, e.g. 'branches.flow'.
        adapt_stem (bool): Take a stem of other input channels, see
            :func:`match_keys`. Defaults to False.
        owner (str, optional): Whose weights they are, for messages. Defaults
            to the backbone's class.

    Raises:
        FileNotFoundError: If a local file is absent, or a URL out of reach.
        ValueError: If the file cannot be read safely, or a tensor of the
            backbone has no match in it, or one of another shape; nothing is
            overwritten then.
    """
    owner = owner or type(backbone).__name__
    content = _read(checkpoint, owner)
    trained = {
        _part_of(name)
        for name, param in backbone.named_parameters() if param.requires_grad
    }
    try:
        state = _state_of(content)
        matched = match_keys(state, backbone.state_dict(), prefix, adapt_stem,
                             trained)
    except ValueError as error:
        raise ValueError(f'{checkpoint} does not fit {owner}: {error}'
                         ) from error
    backbone.load_state_dict(matched, strict=False)
    print_log(f'loaded {len(matched)} tensors of {owner} from {checkpoint}',
              'current')
    as_published = {id(value) for value in state.values()}
    for name, value in matched.items():
        if id(value) not in as_published:
            _tell_adapted(owner, name, _part_of(name) in trained)


def _tell_adapted(owner: str, name: str, trained: bool) -> None:
    """Say that a stem is not the file's own; loud if it stays so."""
    text = (f"{owner}: {name} is the mean of the file's over its input "
            'channels')
    if trained:
        print_log(text, 'current')
    else:
        print_log(
            f'{text}, and frozen: it will not learn its new input. '
            'trunk_stages=-1 trains the whole backbone', 'current',
            logging.WARNING)


def _read(checkpoint: str, owner: str) -> object:
    """The file's content, through MMEngine's loader."""
    try:
        return CheckpointLoader.load_checkpoint(checkpoint, 'cpu')
    except (FileNotFoundError, URLError, ConnectionError,
            TimeoutError) as error:
        place = ('' if '://' in checkpoint else
                 f', looked for at {os.path.abspath(checkpoint)}')
        raise FileNotFoundError(
            f'no weights at {checkpoint!r}{place} ({error}): expected the '
            f'checkpoint of {owner}; docs/data_preparation.md, "Pretrained '
            'weights", tells where to get it, and `checkpoint=None` in the '
            'branch trains from random weights') from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError,
            UnicodeDecodeError) as error:
        refused = re.search(r'GLOBAL (\S+)', str(error))
        if refused:  # from None: torch's own text advises to trust the file
            raise ValueError(
                f'{checkpoint} holds {refused[1]}, which could run code and '
                'is refused: expected tensors, numbers and plain containers. '
                'Where the file is trusted, open it with the software that '
                'wrote it and save its state dict alone') from None
        cached = checkpoint
        if '://' in checkpoint:
            cached = os.path.join(
                torch.hub.get_dir(), 'checkpoints',
                os.path.basename(urlparse(checkpoint).path))
        raise ValueError(
            f'{checkpoint} is no checkpoint, or was cut off '
            f'({type(error).__name__}): expected the weights of {owner}; '
            f'remove {cached} and get it anew') from error


def _state_of(content: object) -> dict[str, Tensor]:
    """The tensors by name, out of what wraps them in a file."""
    if not isinstance(content, Mapping):
        raise ValueError('expected a dict of tensors, got '
                         f'{type(content).__name__}')
    for key in STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return {name: value for name, value in content.items()
            if isinstance(name, str) and isinstance(value, Tensor)}


def match_keys(state: Mapping[str, Tensor],
               expected: Mapping[str, Tensor],
               prefix: str | None = None,
               adapt_stem: bool = False,
               trained: Collection[str] | None = None) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors to a backbone's names.

    Args:
        state (Mapping): Name to tensor, as published.
        expected (Mapping): The backbone's own state dict.
        prefix (str, optional): What stands before the names, where known.
        adapt_stem (bool): Let a first convolution W (out, C, ...) of the
            file serve one of C' input channels, as RGB weights for flow or
            sound: each of the C' channels gets the mean of W over its C,
            W'[o, c'] = 1/C sum_c W[o, c], the cross-modality initialisation
            of Wang et al., Temporal Segment Networks, 2016. No-op where the
            channels agree. Defaults to False.
        trained (Collection[str], optional): Parts of the backbone (stem,
            stages) that train; the error's list then marks the rest frozen.

    Returns:
        dict: The tensors of ``expected``'s names (BatchNorm's batch counter
        may be absent).

    Raises:
        ValueError: If tensors are missing, have another shape or belong to
            a larger network.
    """
    best = _best_names(state, expected, prefix)
    needed = [n for n in expected if not n.endswith('num_batches_tracked')]
    missing = [name for name in needed if name not in best]
    if missing:
        raise ValueError(
            f'the file lacks {len(missing)} of {len(needed)} tensors:'
            + _list_by_part(missing, needed, trained)
            + f'\nit has {list(state)[:5]} ...'
            + (f' and was searched for the prefix {prefix!r}' if prefix
               else ''))
    wrong = [name for name, value in expected.items()
             if name in best and best[name].shape != value.shape]
    stems = [name for name in wrong if _is_stem(name, best[name],
                                                expected[name])]
    if wrong and not (adapt_stem and stems == wrong):
        raise ValueError(_say_shapes(wrong, best, expected, stems == wrong))
    # a deeper network of the same width holds all of a shallower one's
    parts = {name.partition('.')[0] for name in expected}
    surplus = [name for name in best
               if name not in expected and name.partition('.')[0] in parts]
    if surplus:
        raise ValueError(f'the file has {len(surplus)} tensors more, for '
                         f'example {surplus[:5]}: a deeper network?')
    matched = {name: best[name] for name in expected if name in best}
    for name in stems:
        matched[name] = matched[name].mean(
            1, keepdim=True).expand_as(expected[name])
    return matched


def _best_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor],
                prefix: str | None) -> dict[str, Tensor]:
    """The file's tensors by the renaming that meets most of the names."""
    given = '' if not prefix else prefix.removesuffix('.') + '.'
    candidates = []
    for lead in (given + known for known in PREFIXES):
        stripped = {
            name[len(lead):]: value
            for name, value in state.items() if name.startswith(lead)
        }
        candidates.append(stripped)
        candidates.append({
            _torchvision_to_host(name): value
            for name, value in stripped.items()
        })
    return max(candidates, key=lambda names: len(expected.keys() & names))


def _torchvision_to_host(name: str) -> str:
    """conv1.weight -> conv1.conv.weight, bn1.bias -> conv1.bn.bias, ..."""
    name = re.sub(r'(^|\.)bn(\d)\.', r'\1conv\2.bn.', name)
    name = re.sub(r'(^|\.)conv(\d)\.(weight|bias)$', r'\1conv\2.conv.\3',
                  name)
    name = name.replace('downsample.0.', 'downsample.conv.')
    return name.replace('downsample.1.', 'downsample.bn.')


def _part_of(name: str) -> str:
    """slow_path.layer4.0.conv1.conv.weight -> slow_path.layer4."""
    found = re.match(r'(.*?\b(?:layer\d+|conv1)(?:_lateral)?)\.', name)
    return found[1] if found else name.partition('.')[0]


def _list_by_part(missing: list[str], needed: list[str],
                  trained: Collection[str] | None) -> str:
    """One line for each stem or stage that lacks tensors."""
    text = ''
    for part in dict.fromkeys(map(_part_of, missing)):
        lost = [name for name in missing if _part_of(name) == part]
        total = sum(_part_of(name) == part for name in needed)
        role = ''
        if trained is not None:
            role = ' (trained)' if part in trained else ' (frozen)'
        text += f'\n  {part}{role}, {len(lost)} of {total}: '
        text += ', '.join(lost[:NAMES_SHOWN])
        if len(lost) > NAMES_SHOWN:
            text += f' and {len(lost) - NAMES_SHOWN} more'
    return text


def _is_stem(name: str, found: Tensor, wanted: Tensor) -> bool:
    """Whether a convolution on the input differs in its channels alone."""
    ours, theirs = list(wanted.shape), list(found.shape)
    return ('layer' not in _part_of(name) and len(ours) == len(theirs) > 2
            and ours[:1] + ours[2:] == theirs[:1] + theirs[2:])


def _say_shapes(wrong: list[str], found: Mapping[str, Tensor],
                wanted: Mapping[str, Tensor], only_stems: bool) -> str:
    """What differs, and what can be done about it."""
    text = '; '.join(f'{name}: file {tuple(found[name].shape)}, model '
                     f'{tuple(wanted[name].shape)}' for name in wrong[:5])
    text = f'{len(wrong)} tensors of another shape in the file: {text}'
    if only_stems:
        return text + (
            '. Only the input channels differ: expected weights of this '
            "modality; adapt_stem=True in the branch averages the file's "
            'over its channels instead')
    if any(found[name].ndim == 4 and wanted[name].ndim == 5
           for name in wrong):
        return text + ('. The file is of a 2D network: expected one of this '
                       '3D network, as nothing is inflated here')
    return text
