"""Corruptions go to their place in a pipeline, and reach the model."""
import argparse
import copy
from functools import cache

import numpy as np
import pytest
import tiny_sets
import torch
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.registry import init_default_scope
from shipped import ROOT
from trained_runs import mini_config

from mbcd_mmaction.apis.figures.corrupted import (
    corrupt,
    corrupted_accuracy,
    fitting_corruptions,
    parse_corruptions,
)
from mbcd_mmaction.apis.figures.ood import with_clips_of
from mbcd_mmaction.apis.figures.trained import read_config
from mbcd_mmaction.datasets.corruptions import CORRUPTIONS


@cache
def shipped_config(name):
    return read_config(ROOT / f'configs/{name}.py')


def steps_of(cfg, modality, split='test'):
    step = cfg[f'{split}_dataloader'].dataset.pipeline[0]
    return step.pipelines[modality]


def names(steps):
    return [step['type'] for step in steps]


@pytest.mark.parametrize('config', [
    'mbcd/mini_d1', 'mbcd/epic_d1', 'mbcd/hac_human', 'mbcd/own_data',
    'mbcd_released/epic_d1'])
@pytest.mark.parametrize('modality, corruption', [
    ('video', 'defocus_blur'), ('video', 'brightness'),
    ('video', 'frame_drop'), ('flow', 'frame_drop'),
    ('audio', 'wind_noise'), ('audio', 'white_noise')])
def test_place_in_the_shipped_configs(config, modality, corruption):
    cfg = shipped_config(config)
    before = cfg.to_dict()
    found = corrupt(cfg, modality, corruption, 3, seed=7)
    step, next_one, reader = {
        'frames': ('CorruptFrames', 'FormatShape', 'Decode'),
        'sound': ('CorruptSound', 'AudioSpectrogram', 'LoadAudioClip'),
    }[CORRUPTIONS[corruption].of]
    clean, steps = (steps_of(c, modality) for c in (cfg, found))
    place = names(steps).index(step)
    assert steps[place] == dict(type=step, corruption=corruption, severity=3,
                                seed=7)
    assert steps[place + 1]['type'] == next_one
    assert any(reader in name for name in names(steps[:place]))
    # nothing else is another: steps, modalities, splits, the config given
    assert steps[:place] + steps[place + 1:] == clean
    assert cfg.to_dict() == before
    for other in {'video', 'flow', 'audio'} - {modality}:
        assert steps_of(found, other) == steps_of(cfg, other)
    for split in ('train', 'val'):
        assert (found[f'{split}_dataloader'].to_dict() ==
                before[f'{split}_dataloader'])
    init_default_scope('mmaction')
    TRANSFORMS.build(steps[place])


def test_validation_and_corruptions_on_top_of_each_other():
    cfg = read_config(ROOT / 'configs/mbcd/mini_d1.py')
    found = corrupt(cfg, 'video', 'defocus_blur', 1, split='val')
    found = corrupt(found, 'video', 'frame_drop', 2, split='val')
    assert names(steps_of(found, 'video', 'val'))[-3:] == [
        'CorruptFrames', 'CorruptFrames', 'FormatShape']
    assert [step['corruption'] for step in
            steps_of(found, 'video', 'val')[-3:-1]] == ['defocus_blur',
                                                        'frame_drop']
    assert steps_of(found, 'video') == steps_of(cfg, 'video')


def test_wrappers_are_looked_into():
    cfg = read_config(ROOT / 'configs/mbcd/mini_d1.py')
    plain = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(
        type='ConcatDataset',
        datasets=[copy.deepcopy(plain), copy.deepcopy(plain)])
    found = corrupt(cfg, 'audio', 'wind_noise', 2)
    for leaf in found.test_dataloader.dataset.datasets:
        assert 'CorruptSound' in names(leaf.pipeline[0].pipelines.audio)


def test_what_is_refused():
    cfg = read_config(ROOT / 'configs/mbcd/mini_d1.py')
    for args, text in (
            (('video', 'fog', 1), 'expected one of'),
            (('depth', 'frame_drop', 1), r"among \['video', 'flow', 'audio'"),
            (('audio', 'frame_drop', 1), 'stands before FormatShape'),
            (('video', 'wind_noise', 1), 'stands before AudioSpectrogram')):
        with pytest.raises(ValueError, match=text):
            corrupt(cfg, *args)
    cfg.test_dataloader.dataset.trunk_cache = 'somewhere'
    with pytest.raises(ValueError, match='expected a dataset that reads'):
        corrupt(cfg, 'video', 'frame_drop', 1)


def test_parsing():
    assert parse_corruptions('a:wind_noise') == (('a', 'wind_noise'), )
    assert parse_corruptions('b:frame_drop+a:wind_noise') == (
        ('b', 'frame_drop'), ('a', 'wind_noise'))
    for text in ('wind_noise', 'a:fog', 'a:wind_noise+', 'a:b:wind_noise'):
        with pytest.raises(argparse.ArgumentTypeError, match='expected MOD'):
            parse_corruptions(text)


def test_which_fit(mini_root):
    pairs = fitting_corruptions(mini_config(mini_root))
    assert pairs == [
        ('video', 'defocus_blur'), ('video', 'brightness'),
        ('video', 'frame_drop'), ('audio', 'wind_noise'),
        ('audio', 'white_noise')]
    cfg = mini_config(mini_root)
    cfg.test_dataloader.dataset.update(modalities=['flow'], layout='clips')
    with pytest.raises(ValueError, match='expected a modality of RGB'):
        fitting_corruptions(cfg)


def test_which_fit_where_the_first_clip_is_silent(mini_root, monkeypatch):
    cfg = mini_config(mini_root)
    kind = DATASETS.get(cfg.test_dataloader.dataset.type)
    read = kind.get_data_info

    def get_data_info(self, idx):
        record = read(self, idx)
        if idx == 0:
            record['sources']['audio'] = None
        return record

    monkeypatch.setattr(kind, 'get_data_info', get_data_info)
    assert ('audio', 'wind_noise') in fitting_corruptions(cfg)


def test_clips_of_the_loader(mini_root):
    """Clean at severity 0; else one modality is another, as it was before."""
    cfg = mini_config(mini_root)

    def clip(cfg, index=1):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        return {m: x.numpy() for m, x in dataset[index]['inputs'].items()}

    clean = clip(cfg)
    for modality, corruption in [*fitting_corruptions(cfg),
                                 ('flow', 'frame_drop')]:
        first, again, none = (clip(corrupt(cfg, modality, corruption, s))
                              for s in (4, 4, 0))
        for name in clean:
            assert np.array_equal(none[name], clean[name])
            assert np.array_equal(first[name], again[name])
            assert first[name].dtype == clean[name].dtype
            assert first[name].shape == clean[name].shape
            assert np.array_equal(first[name], clean[name]) == (
                name != modality)
    with pytest.raises(ValueError, match='is defined for RGB frames'):
        clip(corrupt(cfg, 'flow', 'defocus_blur', 1))


def test_accuracy_under_corruption(mini_root):
    cfg = mini_config(mini_root)
    model = MODELS.build(cfg.model).eval()
    found = list(corrupted_accuracy(
        model, cfg, [(('audio', 'white_noise'), ('video', 'brightness'))],
        severities=(1, 5)))
    assert [(name, severity) for name, severity, _ in found] == [
        ('', 0), ('audio:white_noise+video:brightness', 1),
        ('audio:white_noise+video:brightness', 5)]
    for _, _, top1 in found:
        assert list(top1) == ['fused', 'video', 'flow', 'audio']
    # flow alone is as it was
    assert len({top1['flow'] for _, _, top1 in found}) == 1


def test_another_sets_clips(mini_root):
    """HAC's clips through the pipeline and in the modalities of EPIC."""
    cfg = read_config(ROOT / 'configs/mbcd/epic_d1.py',
                      {'model.modalities': ['video', 'audio']})
    other = read_config(ROOT / 'configs/mbcd/hac_human.py')
    before = cfg.to_dict(), other.to_dict()
    found = with_clips_of(cfg, other)
    own = cfg.test_dataloader.dataset
    dataset = found.test_dataloader.dataset
    assert dataset.type == 'HACDataset' and dataset.num_classes == 7
    assert dataset.domains == ['human'] and dataset.split == 'all'
    assert dataset.pipeline == own.pipeline
    assert dataset.modalities == own.modalities == ['video', 'audio']
    assert found.test_dataloader.batch_size == cfg.test_dataloader.batch_size
    assert found.val_dataloader == cfg.val_dataloader
    assert (cfg.to_dict(), other.to_dict()) == before
    # a choice of the other's does not outlive it
    other.test_dataloader.dataset.modalities = ['flow']
    del cfg.test_dataloader.dataset.modalities
    found = with_clips_of(cfg, other)
    assert 'modalities' not in found.test_dataloader.dataset
    # and they can be read
    mini = mini_config(mini_root)
    other = mini_config(mini_root)
    other.test_dataloader.dataset.domains = ['D3']
    clips = DATASETS.build(with_clips_of(mini, other).test_dataloader.dataset)
    assert len(clips) == 8 and clips.get_data_info(0)['domain'] == 'D3'
    assert isinstance(clips[0]['inputs']['audio'], torch.Tensor)


def test_full_size_clips(tmp_path):
    """HAC's own pipeline: frames from ClipDecode, sound of their window."""
    tiny_sets.write_hac(tmp_path, domains=('human', ), clips=1)
    cfg = read_config(ROOT / 'configs/mbcd/hac_human.py', {
        'test_dataloader.dataset.data_root': str(tmp_path),
        'model.modalities': ['video', 'audio']})

    def clip(cfg):
        return DATASETS.build(cfg.test_dataloader.dataset)[0]['inputs']

    clean = clip(cfg)
    assert clean['video'].shape == (1, 3, 32, 224, 224)
    for modality, corruption in fitting_corruptions(cfg):
        found = clip(corrupt(cfg, modality, corruption, 5))
        for name, x in found.items():
            assert x.dtype == clean[name].dtype
            assert x.shape == clean[name].shape
            assert torch.equal(x, clean[name]) == (name != modality)
