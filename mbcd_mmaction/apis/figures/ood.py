"""Another set's clips, read as a model reads its own."""
import copy

from mmengine.config import Config

from ..preflight import leaf_datasets

__all__ = ['with_clips_of']


def with_clips_of(cfg: Config, other: Config, split: str = 'test') -> Config:
    """A config whose split is another config's clips.

    They go through the pipeline of ``cfg``, in its modalities, so that a
    model trained with it can predict them; their labels mean nothing to it.

    Args:
        cfg (Config): Of the model's training; not changed.
        other (Config): Its ``<split>_dataloader`` names the clips.
        split (str): Of both. Defaults to 'test'.

    Returns:
        Config: A copy of ``cfg`` with the other's dataset.
    """
    cfg = copy.deepcopy(cfg)
    own = next(leaf_datasets(cfg[f'{split}_dataloader']['dataset']))
    dataset = copy.deepcopy(other[f'{split}_dataloader']['dataset'])
    for leaf in leaf_datasets(dataset):
        for name in ('pipeline', 'modalities'):
            if name in own:
                leaf[name] = copy.deepcopy(own[name])
            else:  # all that the set has, as of one's own clips
                leaf.pop(name, None)
        leaf.pop('trunk_cache', None)
    loader = copy.deepcopy(cfg[f'{split}_dataloader'])
    loader['dataset'] = dataset
    cfg[f'{split}_dataloader'] = loader
    return cfg
