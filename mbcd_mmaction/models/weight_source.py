"""Where a branch is told to take its weights from, however it is spelled."""
from collections.abc import Iterable
from dataclasses import dataclass

from mmengine.model import PretrainedInit
from torch import nn

__all__ = [
    'WeightSource', 'only_source', 'refuse_files', 'split_init_cfg',
    'take_sources'
]

InitCfg = dict | list | None


@dataclass(frozen=True)
class WeightSource:
    """A file of weights.

    Attributes:
        checkpoint (str): Local path or URL.
        prefix (str, optional): Before the backbone's names in the file; None
            finds it by rule.
        spelling (str): How the config asks for it.
    """
    checkpoint: str
    prefix: str | None
    spelling: str


def split_init_cfg(init_cfg: InitCfg,
                   spelling: str) -> tuple[InitCfg, list[WeightSource]]:
    """Part the 'Pretrained' entries of an ``init_cfg`` from the others.

    Args:
        init_cfg (dict or list, optional): As in mmengine's BaseModule.
        spelling (str): Where it stands, for messages.

    Returns:
        tuple: The other entries (the argument itself where there are no
        'Pretrained' ones) and the files that those name.
    """
    entries = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    files = [entry for entry in entries
             if entry.get('type') in ('Pretrained', PretrainedInit)]
    if not files:
        return init_cfg, []
    rest = [entry for entry in entries if entry not in files]
    return rest or None, [
        WeightSource(entry['checkpoint'], entry.get('prefix'), spelling)
        for entry in files
    ]


def take_sources(backbone: nn.Module,
                 take_pretrained: bool) -> list[WeightSource]:
    """Take from a backbone the loading that the host would do, or not do.

    MMAction2's ResNet3d, SlowOnly, SlowFast and ResNetAudio ignore
    ``init_cfg``, and ``pretrained`` loads nothing from the file of a whole
    recognizer. What the config asked for is therefore read off the built
    backbone, removed there and returned.

    Args:
        backbone (nn.Module): Built, not yet initialised; its ``init_cfg``
            and ``pretrained`` are changed.
        take_pretrained (bool): Take ``pretrained`` too. Backbones other
            than the families named may convert the file by rules of their
            own, which is then left to them.

    Raises:
        ValueError: If a part of the backbone asks for a file of its own.
    """
    backbone.init_cfg, sources = split_init_cfg(
        getattr(backbone, 'init_cfg', None), 'backbone.init_cfg')
    if take_pretrained and isinstance(
            getattr(backbone, 'pretrained', None), str):
        sources.append(
            WeightSource(backbone.pretrained, None, 'backbone.pretrained'))
        backbone.pretrained = None
    for name, part in backbone.named_modules():
        if part is backbone:
            continue
        _, own = split_init_cfg(getattr(part, 'init_cfg', None), 'init_cfg')
        if own or (take_pretrained and isinstance(
                getattr(part, 'pretrained', None), str)):
            raise ValueError(
                f'{name} of {type(backbone).__name__} asks for weights of '
                'its own (pretrained or init_cfg): expected one `checkpoint` '
                'in the branch, for the whole backbone')
    return sources


def only_source(sources: Iterable[WeightSource]) -> WeightSource | None:
    """The one file that a branch starts from, or None.

    Raises:
        ValueError: If the config names more than one.
    """
    sources = list(sources)
    if len(sources) > 1:
        raise ValueError(
            'expected one file of weights for a branch, got '
            + ' and '.join(f'{s.spelling}={s.checkpoint!r}' for s in sources)
            + ': keep `checkpoint`')
    return sources[0] if sources else None


def refuse_files(init_cfg: InitCfg) -> None:
    """Refuse 'Pretrained' in the ``init_cfg`` of a whole recognizer.

    The host would load what happens to fit and pass over the rest, after
    the branches have loaded theirs.

    Raises:
        ValueError: If it names a file.
    """
    _, files = split_init_cfg(init_cfg, 'init_cfg')
    if files:
        raise ValueError(
            f"init_cfg of the model names {files[0].checkpoint!r}: expected "
            "each branch's weights as its `checkpoint`, and those of a whole "
            'model as load_from, beside the model in the config')
