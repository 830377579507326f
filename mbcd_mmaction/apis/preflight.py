"""What can be checked before a model is built."""
import logging
from collections.abc import Iterator, Sequence

from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log


def leaf_datasets(dataset: dict) -> Iterator[dict]:
    """The datasets inside wrappers such as ConcatDataset or RepeatDataset.

    Args:
        dataset (dict): Config of a dataset or of a wrapper around some.

    Yields:
        dict: the config of each dataset that reads media itself.
    """
    inner = dataset.get('datasets', None)
    if inner is None and dataset.get('dataset', None) is not None:
        inner = [dataset['dataset']]
    if inner is None:
        yield dataset
        return
    for child in inner:
        yield from leaf_datasets(child)


def check_datasets(cfg: Config,
                   splits: Sequence[str] = ('train', 'val')) -> None:
    """Have each dataset look for its folders, without loading anything.

    A dataset is built with ``lazy_init=True`` and no pipeline, so that absent
    media stop a run at once rather than after the model has been built. Only
    subclasses of mmengine's BaseDataset are asked: others know no lazy start.

    Args:
        cfg (Config): A whole config.
        splits (Sequence[str]): Which of ``<split>_dataloader`` to check; one
            that the config does not have, or sets to None, is passed over.

    Raises:
        FileNotFoundError: a dataset did not find its folder; the text is the
            dataset's own.
    """
    for split in splits:
        loader = cfg.get(f'{split}_dataloader', None)
        if loader is None:
            continue
        for leaf in leaf_datasets(loader['dataset']):
            dataset_type = leaf.get('type')
            if isinstance(dataset_type, str):
                dataset_type = DATASETS.get(dataset_type)
            if (isinstance(dataset_type, type)
                    and issubclass(dataset_type, BaseDataset)):
                DATASETS.build({**leaf, 'lazy_init': True, 'pipeline': []})


def warn_of_seen_targets(cfg: Config) -> list[str]:
    """Say so where a domain of the test is also one of training.

    The test's score is then not one of an unseen domain. That may be meant
    (an in-domain protocol), so the run goes on. Datasets without ``domains``
    are passed over.

    Args:
        cfg (Config): A whole config.

    Returns:
        list[str]: The domains that training or validation see too.
    """
    seen, target = set(), set()
    for split, found in (('train', seen), ('val', seen), ('test', target)):
        loader = cfg.get(f'{split}_dataloader', None) or {}
        for leaf in leaf_datasets(loader.get('dataset') or {}):
            names = leaf.get('domains') or ()
            found.update([names] if isinstance(names, str) else names)
    both = sorted(seen & target)
    if both:
        print_log(
            f'{both} are tested on and also trained or validated on: the '
            'score will not be one of an unseen domain', 'current',
            logging.WARNING)
    return both
