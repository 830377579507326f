"""Datasets are asked for their folders before anything is built."""
import copy
import logging
from pathlib import Path

import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger

from mbcd_mmaction.apis.preflight import (
    check_datasets,
    leaf_datasets,
    warn_of_seen_targets,
)


@pytest.fixture
def asked():
    """Registers a dataset that notes how it was built."""
    calls = []

    class NotingDataset(BaseDataset):

        def __init__(self, folder='.', **kwargs):
            calls.append((folder, kwargs))
            if not Path(folder).is_dir():
                raise FileNotFoundError(f'no folder {folder}')
            super().__init__(**kwargs)

        def load_data_list(self):
            raise AssertionError('loaded')

    class Foreign:

        def __init__(self):
            raise AssertionError('built')

    for cls in (NotingDataset, Foreign):
        DATASETS.register_module(module=cls)
    yield calls
    for cls in (NotingDataset, Foreign):
        DATASETS._module_dict.pop(cls.__name__)


def noting(folder, **more):
    return dict(type='NotingDataset', folder=folder,
                pipeline=[dict(type='NoSuchTransform')], **more)


def config(**datasets):
    return Config({
        f'{split}_dataloader': value and dict(dataset=value)
        for split, value in datasets.items()
    })


def test_built_lazily_and_without_pipeline(asked, tmp_path):
    cfg = config(train=noting(str(tmp_path)), val=noting(str(tmp_path)))
    before = copy.deepcopy(cfg)
    check_datasets(cfg)
    assert len(asked) == 2
    for _, kwargs in asked:
        assert kwargs == dict(lazy_init=True, pipeline=[])
    assert cfg.to_dict() == before.to_dict()


def test_the_datasets_own_error_comes_through(asked, tmp_path):
    missing = str(tmp_path / 'absent')
    with pytest.raises(FileNotFoundError, match=f'no folder {missing}'):
        check_datasets(config(train=noting(str(tmp_path)),
                              val=noting(missing)))


def test_only_the_splits_asked_for(asked, tmp_path):
    missing = noting(str(tmp_path / 'absent'))
    cfg = config(train=noting(str(tmp_path)), test=missing)
    check_datasets(cfg)
    with pytest.raises(FileNotFoundError):
        check_datasets(cfg, ['test'])


def test_absent_and_empty_loaders_are_passed_over(asked):
    check_datasets(config(train=None))
    check_datasets(Config(dict()))
    assert asked == []


def test_inside_wrappers(asked, tmp_path):
    here, gone = str(tmp_path), str(tmp_path / 'absent')
    wrapped = dict(
        type='RepeatDataset', times=2, dataset=dict(
            type='ConcatDataset', datasets=[noting(here), noting(gone)]))
    assert [leaf['folder'] for leaf in leaf_datasets(wrapped)] == [here, gone]
    with pytest.raises(FileNotFoundError, match='absent'):
        check_datasets(config(train=wrapped))
    assert [folder for folder, _ in asked] == [here, gone]


def test_datasets_without_a_lazy_start_are_not_built(asked):
    check_datasets(config(train=dict(type='Foreign')))


@pytest.mark.parametrize('train,val,test,seen', [
    (['D1', 'D2'], ['D1', 'D2'], ['D3'], []),
    (['D1', 'D2'], ['D1'], ['D2'], ['D2']),
    ('a', 'b', 'b', ['b']),  # one domain as a word
    (['D1'], ['D1', 'D3'], ['D3'], ['D3']),  # selection counts
    (None, None, ['D1'], []),
])
def test_a_target_that_training_sees_is_said(train, val, test, seen):
    loaders = {
        f'{split}_dataloader': dict(dataset=dict(
            type='ConcatDataset', datasets=[dict(type='A', domains=names)]))
        for split, names in (('train', train), ('val', val), ('test', test))
        if names is not None}
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logger = MMLogger.get_instance('seen')
    logger.addHandler(handler)
    try:
        assert warn_of_seen_targets(Config(loaders)) == seen
    finally:
        logger.removeHandler(handler)
    assert len(heard) == bool(seen)
    if seen:
        assert heard[0].levelno == logging.WARNING
        assert f'{seen} are tested on and also trained' in (
            heard[0].getMessage())


def test_other_datasets_are_passed_over():
    assert warn_of_seen_targets(Config(dict(
        train_dataloader=dict(dataset=dict(type='VideoDataset')),
        val_dataloader=None,
        test_dataloader=dict(dataset=dict(type='VideoDataset'))))) == []
