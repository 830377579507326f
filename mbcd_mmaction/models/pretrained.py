"""Load a backbone's pretrained weights, completely or not at all."""
import re
from urllib.error import URLError

from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

__all__ = ['load_backbone', 'match_keys']

# What published files put before the backbone's own names.
PREFIXES = ('', 'backbone.', 'audnet.', 'module.', 'module.backbone.',
            'encoder.')
STATE_KEYS = ('state_dict', 'model_state_dict', 'model')


def load_backbone(backbone: nn.Module, checkpoint: str) -> None:
    """Fill every tensor of a backbone from a checkpoint file.

    The prefix is found by rule, and torchvision's ResNet names (VGGSound's
    file has them) are translated to MMAction2's. Classifier heads in the
    file are left over.

    Args:
        backbone (nn.Module): Overwritten.
        checkpoint (str): Local path or URL, read by MMEngine's loader.

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
    try:
        matched = match_keys(_state_of(content), backbone.state_dict())
    except ValueError as error:
        raise ValueError(f'{checkpoint} does not fit '
                         f'{type(backbone).__name__}: {error}') from error
    backbone.load_state_dict(matched, strict=False)
    print_log(f'loaded {len(matched)} tensors of {type(backbone).__name__} '
              f'from {checkpoint}', 'current')


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
               expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a checkpoint's tensors to a backbone's names.

    Args:
        state (dict): Name to tensor, as published.
        expected (dict): The backbone's own state dict.

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
            f'the file lacks {len(missing)} of {len(needed)} tensors, '
            f'for example {missing[:5]}; it has {list(state)[:5]} ...')
    wrong = [
        f'{name}: file {tuple(best[name].shape)}, model '
        f'{tuple(value.shape)}' for name, value in expected.items()
        if name in best and best[name].shape != value.shape
    ]
    if wrong:
        raise ValueError('tensors of another shape in the file: ' +
                         '; '.join(wrong[:5]))
    # a deeper network of the same width holds all of a shallower one's
    parts = {name.partition('.')[0] for name in expected}
    surplus = [name for name in best
               if name not in expected and name.partition('.')[0] in parts]
    if surplus:
        raise ValueError(f'the file has {len(surplus)} tensors more, for '
                         f'example {surplus[:5]}: a deeper network?')
    return {name: best[name] for name in expected if name in best}


def _torchvision_to_host(name: str) -> str:
    """conv1.weight -> conv1.conv.weight, bn1.bias -> conv1.bn.bias, ..."""
    name = re.sub(r'(^|\.)bn(\d)\.', r'\1conv\2.bn.', name)
    name = re.sub(r'(^|\.)conv(\d)\.(weight|bias)$', r'\1conv\2.conv.\3',
                  name)
    name = name.replace('downsample.0.', 'downsample.conv.')
    return name.replace('downsample.1.', 'downsample.bn.')
