"""Datasets follow the model's modalities."""
import argparse
import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mbcd_mmaction.apis import cli
from mbcd_mmaction.apis.modalities import follow_modalities

ROOT = Path(__file__).parents[2]
SPLITS = ('train', 'val', 'test')
ALL = ['video', 'flow', 'audio']


def leaf(**more):
    return dict(type='D', modalities=list(ALL), **more)


def config(model='MultiModalRecognizer', modalities=('video', 'audio'),
           **datasets):
    """A config of three loaders; each dataset is a leaf by default."""
    cfg = dict(model=dict(type=model))
    if modalities is not None:
        cfg['model']['modalities'] = list(modalities)
    for split in SPLITS:
        cfg[f'{split}_dataloader'] = dict(dataset=datasets.get(split, leaf()))
    return Config(cfg)


def read_by(cfg):
    return [cfg[f'{split}_dataloader'].dataset.modalities for split in SPLITS]


@pytest.mark.parametrize('kind', ['train', 'test'])
@pytest.mark.parametrize('name', ['mbcd/mini_d1.py', 'mbcd/epic_d1.py',
                                  'erm/hac_human_to_cartoon.py'])
def test_one_option_of_the_tools(kind, name):
    """All of what a shipped config reads, through the tools' own merging."""
    flags = dict(config=name, work_dir=None, launcher='none', local_rank=0,
                 cfg_options={'model.modalities': ['video', 'audio']})
    train = dict(resume=None, amp=False, no_validate=False, seed=None,
                 auto_scale_lr=False, diff_rank_seed=False,
                 deterministic=False)
    test = dict(checkpoint='c.pth', dump=None, show=False, show_dir=None)
    merge, own = dict(train=(cli.merge_train_args, train),
                      test=(cli.merge_test_args, test))[kind]
    cfg = Config.fromfile(ROOT / 'configs' / name)
    assert read_by(cfg) == [ALL] * 3
    merged = merge(cfg, argparse.Namespace(**flags, **own))
    assert merged.model.modalities == ['video', 'audio']
    assert read_by(merged) == [['video', 'audio']] * 3
    assert read_by(cfg) == [ALL] * 3


def test_without_options_a_shipped_config_stays_as_it_is():
    cfg = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    assert follow_modalities(cfg).to_dict() == cfg.to_dict()


def test_a_config_that_states_fewer_modalities_needs_no_option():
    cfg = config()
    before = copy.deepcopy(cfg)
    assert read_by(follow_modalities(cfg)) == [['video', 'audio']] * 3
    assert cfg.to_dict() == before.to_dict()


def test_inside_wrappers():
    wrapped = dict(type='RepeatDataset', times=2, dataset=dict(
        type='ConcatDataset', datasets=[leaf(n=1), leaf(n=2),
                                        dict(type='Foreign')]))
    merged = follow_modalities(config(train=wrapped))
    inner = merged.train_dataloader.dataset.dataset.datasets
    assert [one.get('modalities') for one in inner] == [
        ['video', 'audio'], ['video', 'audio'], None]
    assert [one.get('n') for one in inner] == [1, 2, None]


def test_a_model_under_its_scoped_name():
    merged = follow_modalities(config('mmaction.MultiModalRecognizer'))
    assert read_by(merged) == [['video', 'audio']] * 3


@pytest.mark.parametrize('cfg', [
    config('Recognizer3D'), config('NoSuchModel'), config(modalities=None),
    Config(dict(train_dataloader=dict(dataset=leaf()))),
], ids=['another', 'unknown', 'unstated', 'none'])
def test_other_models_are_left_alone(cfg):
    assert follow_modalities(cfg).to_dict() == cfg.to_dict()


def test_absent_loaders_are_passed_over():
    cfg = config()
    cfg.val_dataloader = None
    cfg.pop('test_dataloader')
    merged = follow_modalities(cfg)
    assert merged.val_dataloader is None
    assert merged.train_dataloader.dataset.modalities == ['video', 'audio']


def with_options(cfg, options):
    """What the tools do: merge the options, then let the datasets follow."""
    cfg.merge_from_dict(options)
    return follow_modalities(cfg, options)


def test_a_dataset_that_is_named_keeps_what_it_was_given():
    """The target has no sound: the recognizer masks it in testing."""
    merged = with_options(config(), {
        'model.modalities': ALL,
        'test_dataloader.dataset.modalities': ['video', 'flow']})
    assert read_by(merged) == [ALL, ALL, ['video', 'flow']]


def test_a_named_dataset_inside_a_wrapper():
    wrapped = dict(type='ConcatDataset', datasets=[leaf(), leaf()])
    merged = with_options(config(val=wrapped), {
        'val_dataloader.dataset.datasets.1.modalities': ['audio']})
    assert [one.modalities for one in
            merged.val_dataloader.dataset.datasets] == [
                ['video', 'audio'], ['audio']]


def test_training_may_read_more_but_not_less():
    options = {'train_dataloader.dataset.modalities': ALL}
    assert read_by(with_options(config(), options))[0] == ALL
    options = {'train_dataloader.dataset.modalities': ['video', 'flow']}
    with pytest.raises(ValueError, match=r"without \['audio'\]"):
        with_options(config(), options)


def test_a_single_name_is_the_models_error():
    """It must not become a list of letters."""
    cfg = config()
    cfg.model.modalities = 'audio'
    assert follow_modalities(cfg).to_dict() == cfg.to_dict()
