"""Datasets read the modalities that the model is built of, and no others."""
import copy
from collections.abc import Mapping
from typing import Any

from mmaction.registry import MODELS
from mmengine.config import Config

from ..models import MultiModalRecognizer
from .preflight import leaf_datasets

_SPLITS = ('train', 'val', 'test')


def follow_modalities(cfg: Config,
                      options: Mapping[str, Any] | None = None) -> Config:
    """Give ``model.modalities`` to every dataset that has such a key.

    One option then chooses a set, ``model.modalities="['video','audio']"``,
    and what the model does not use is not read from disk, nor need it be
    there. Datasets inside wrappers follow too. Left alone are all datasets
    where the model is no :class:`MultiModalRecognizer` or does not state its
    modalities, and a dataset without the key.

    A dataset's ``modalities`` among ``options`` stay as given. For
    validation and test they may be fewer than the model's: the recognizer
    masks what is absent.

    Args:
        cfg (Config): The merged config; not changed.
        options (Mapping[str, Any], optional): ``--cfg-options`` by dotted
            name, merged into ``cfg`` already. Defaults to None.

    Returns:
        Config: A copy whose datasets follow.

    Raises:
        ValueError: The options leave a training dataset without a modality
            of the model.
    """
    cfg = copy.deepcopy(cfg)
    wanted = _modalities_of(cfg.get('model', None))
    if wanted is None:
        return cfg
    for split in _SPLITS:
        for leaf in _leaves(cfg, split):
            if 'modalities' in leaf:
                leaf['modalities'] = list(wanted)
    cfg.merge_from_dict({
        name: value
        for name, value in (options or {}).items()
        if name.split('.')[0] in {f'{split}_dataloader' for split in _SPLITS}
        and name.endswith('.modalities')
    })
    _check_training(cfg, wanted)
    return cfg


def _modalities_of(model: Mapping[str, Any] | None) -> list[str] | None:
    """What a model of ours states, None for others."""
    model_type = (model or {}).get('type')
    if isinstance(model_type, str):
        model_type = MODELS.get(model_type)
    if not (isinstance(model_type, type)
            and issubclass(model_type, MultiModalRecognizer)):
        return None
    # A single name, as --cfg-options model.modalities=audio gives it, is
    # the model's own error to raise.
    names = model.get('modalities')
    return list(names) if isinstance(names, (list, tuple)) else None


def _check_training(cfg: Config, wanted: list[str]) -> None:
    """Refuse to train on datasets that lack a modality of the model."""
    for leaf in _leaves(cfg, 'train'):
        given = leaf.get('modalities', wanted)
        lacking = [name for name in wanted if name not in given]
        if lacking:
            raise ValueError(
                f'--cfg-options: expected the training datasets to give all '
                f'modalities of the model, {wanted}; one gives {given}, '
                f'without {lacking}. model.modalities alone sets both')


def _leaves(cfg: Config, split: str) -> list[dict[str, Any]]:
    """The datasets of one loader, none where the config has no loader."""
    loader = cfg.get(f'{split}_dataloader', None)
    dataset = (loader or {}).get('dataset')
    return list(leaf_datasets(dataset)) if dataset is not None else []
