"""The clips of a config's datasets, without any media."""
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mmaction.registry import DATASETS
from mmengine.config import Config

from ..preflight import leaf_datasets
from .findings import Finding


class Clip(NamedTuple):
    """One record of one dataset.

    Attributes:
        split (str): The loader: 'train', 'val' or 'test'.
        number (int): Which dataset of that loader, from 0.
        index (int): Which record of that dataset.
        record (dict): See :class:`MultiModalDataset`.
    """
    split: str
    number: int
    index: int
    record: dict[str, Any]

    @property
    def clip_id(self) -> str:
        """The record's own."""
        return str(self.record.get('clip_id', f'{self.split} {self.index}'))

    def sources(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each modality and its source."""
        yield from (self.record.get('sources') or {}).items()


def split_leaves(cfg: Config, split: str) -> list[dict]:
    """Configs of the datasets of a loader; none where there is no loader."""
    loader = cfg.get(f'{split}_dataloader', None)
    return [] if loader is None else list(leaf_datasets(loader['dataset']))


def list_clips(cfg: Config, splits: Sequence[str]
               ) -> tuple[list[Clip], dict[str, list[str]], list[Finding]]:
    """Build each dataset without its pipeline and take its records.

    Labels are checked here rather than by the datasets, which stop at the
    first.

    Args:
        cfg (Config): A whole config.
        splits (Sequence[str]): Some of 'train', 'val', 'test'.

    Returns:
        tuple: the clips; the names of the classes by split; findings.
    """
    clips, classes, findings = [], {}, []
    for split in splits:
        for number, leaf in enumerate(split_leaves(cfg, split)):
            try:
                dataset, number_of_classes = _build(leaf)
            except (ValueError, TypeError, OSError) as error:
                findings.append(Finding(
                    'dataset', f'{split} {leaf.get("type")}', str(error),
                    (split, ), 0))
                continue
            own = [Clip(split, number, index, dataset.get_data_info(index))
                   for index in range(len(dataset))]
            clips += own
            names = list(dataset.metainfo.get('classes') or ())
            classes.setdefault(split, names)
            findings += _check_classes(
                split, own, number_of_classes or len(names) or None,
                cfg.get('model', {}).get('num_classes'))
    return clips, classes, findings


def _build(leaf: dict) -> tuple[Any, int | None]:
    """The dataset with all its records, whatever their labels, and the
    number of classes against which it would check them."""
    dataset = DATASETS.build({**leaf, 'pipeline': [], 'lazy_init': True})
    number = getattr(dataset, 'num_classes', None)
    dataset.num_classes = None
    dataset.serialize_data = False  # saves memory in a training, time here
    dataset.full_init()
    return dataset, number


def _check_classes(split: str, clips: Sequence[Clip], own: int | None,
                   of_model: int | None) -> Iterator[Finding]:
    """Labels in range, and as many classes as the model has."""
    if own and of_model and own != of_model:
        yield Finding(
            'num_classes', split, f'the dataset has {own} classes, '
            f'model.num_classes is {of_model}', (split, ), len(clips))
    number = own or of_model
    for clip in clips:
        label = clip.record['label']
        if number is not None and not 0 <= label < number:
            yield Finding('label', clip.clip_id,
                          f'expected 0 to {number - 1}, got {label}',
                          (split, ))
