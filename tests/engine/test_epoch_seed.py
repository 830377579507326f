import random
import shutil

import numpy as np
import pytest
import tiny_media
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mbcd_mmaction.datasets import EpicKitchensDataset
from mbcd_mmaction.engine.hooks import EpochSeedHook


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.drawn = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.drawn.append(torch.rand(1).item())
        return dict(loss=self.weight.sum() * len(inputs))


class Record(Hook):
    """Keeps what each epoch saw and drew; draws between epochs itself."""

    def __init__(self):
        self.epochs = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        samples = data_batch['data_samples']
        seen = [sample.clip_id for sample in samples]
        seen += [x.double().sum().item()
                 for name in ('audio', 'flow')
                 for x in data_batch['inputs'][name]]
        seen += runner.model.drawn[-1:]
        self.epochs.setdefault(runner.epoch, []).append(seen)

    def after_train_epoch(self, runner):
        torch.rand(1), np.random.rand(), random.random()


@pytest.fixture(scope='module')
def tiny_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('set')
    tiny_media.write_set(root, clips=4)
    return root


def train(root, work_dir, epochs, num_workers, resume=False, seed=0):
    record = Record()
    runner = Runner(
        model=Model(),
        work_dir=str(work_dir),
        default_scope='mmaction',
        train_dataloader=dict(
            batch_size=2,
            num_workers=num_workers,
            worker_init_fn=dict(type='mbcd_worker_init'),
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=EpicKitchensDataset(
                str(root), ['D1'], 'train', modalities=['flow', 'audio'],
                pipeline=tiny_media.full_pipeline('flow', 'audio'))),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
        custom_hooks=[EpochSeedHook(), record],
        randomness=dict(seed=seed),
        resume=resume,
        experiment_name=f'{work_dir.name}_{epochs}_{resume}')
    runner.train()
    return record.epochs


@pytest.mark.parametrize('num_workers', [0, 2])
def test_resumed_training_sees_what_an_unbroken_run_sees(
        tiny_root, tmp_path, num_workers):
    unbroken = train(tiny_root, tmp_path / 'a', 3, num_workers)
    first = train(tiny_root, tmp_path / 'b', 1, num_workers)
    torch.rand(7)  # the state at resuming must not matter
    np.random.rand(7)
    second = train(tiny_root, tmp_path / 'b', 3, num_workers, resume=True)
    assert sorted(second) == [1, 2]
    assert {**first, **second} == unbroken
    # No two epochs draw the same noise (audio's sums) or model noise.
    sums = [{value for seen in epoch for value in seen[2:4] + seen[-1:]}
            for epoch in unbroken.values()]
    assert not sums[0] & sums[1] and not sums[1] & sums[2]
    other = train(tiny_root, tmp_path / 'c', 1, num_workers, seed=1)
    assert other[0] != unbroken[0]


def test_a_resumed_run_without_a_seed_takes_the_first_ones(tiny_root,
                                                           tmp_path):
    """It is built with one of its own before the checkpoint is read."""
    first = train(tiny_root, tmp_path / 'a', 1, 0, seed=None)
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    runs = [train(tiny_root, tmp_path / name, 6, 0, resume=True, seed=None)
            for name in 'ab']
    assert runs[0] == runs[1] and len(runs[0]) == 5
    assert len(first) == 1


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_and_workers_draw_apart(tiny_root, tmp_path, monkeypatch,
                                       num_workers):
    """All read one clip: only their draws can tell the samples apart."""
    monkeypatch.setattr(
        EpicKitchensDataset, 'get_data_info',
        lambda self, idx, get=EpicKitchensDataset.get_data_info: get(self, 0))
    epochs = train(tiny_root, tmp_path / 'a', 2, num_workers)
    noise = [value for epoch in epochs.values() for seen in epoch
             for value in seen[2:4]]
    assert len(noise) == 8 == len(set(noise))


def test_seed_epoch_and_rank_all_count(monkeypatch):
    name = 'mbcd_mmaction.engine.hooks.epoch_seed.get_rank'

    def draw(seed, epoch, rank):
        monkeypatch.setattr(name, lambda: rank)
        runner = type('Runner', (), dict(seed=seed, epoch=epoch))
        EpochSeedHook().before_train_epoch(runner)
        return random.random(), np.random.rand(), torch.rand(1).item()

    cases = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    drawn = {case: draw(*case) for case in cases}
    for values in zip(*drawn.values(), strict=True):
        assert len(set(values)) == len(cases)
    assert all(draw(*case) == drawn[case] for case in cases)
