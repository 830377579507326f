"""docs/trunk_cache.md: its commands, and trainings with and without."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mbcd_mmaction.apis.cache_trunk import (
    build_model,
    make_plans,
    say_size,
    write_cache,
)
from mbcd_mmaction.datasets.trunk_cache.reader import folder_bytes
from mbcd_mmaction.models.stored_trunk import describe_trunk

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs/trunk_cache.md').read_text(encoding='utf-8')
CODE, = re.findall(r'```python\n(.*?)```', TEXT, re.S)
BASH, = re.findall(r'```bash\n(.*?)```', TEXT, re.S)
COMMANDS = BASH.splitlines()
SHORT = ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=8',
         'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
         'default_hooks.logger.interval=1']
COUNT = []


def run(command, place):
    if 'train.py' in command:
        if '--cfg-options' not in command:
            command += ' --cfg-options'
        command = ' '.join([command, *SHORT])
    return subprocess.run(
        ['bash', '-c', re.sub('^python ', lambda _: f'"{sys.executable}" ',
                              command)],
        cwd=place, capture_output=True, text=True, timeout=300,
        stdin=subprocess.DEVNULL, env=environment())


def environment():
    return {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1',
            'CUDA_VISIBLE_DEVICES': ''}


@pytest.fixture(scope='module')
def place(mini_root, tmp_path_factory):
    """Where a reader of the page stands."""
    place = tmp_path_factory.mktemp('reader')
    for name in ('tools', 'docs'):
        (place / name).symlink_to(ROOT / name)
    (place / 'configs/mbcd').mkdir(parents=True)
    (place / 'configs/_base_').symlink_to(ROOT / 'configs/_base_')
    (place / 'configs/mbcd/mini_d1.py').symlink_to(
        ROOT / 'configs/mbcd/mini_d1.py')
    (place / 'configs/mbcd/mini_cut.py').write_text(
        CODE.replace('epoch_15', 'epoch_1'))
    (place / 'data').mkdir()
    (place / 'data/mini').symlink_to(mini_root)
    return place


@pytest.fixture(scope='module')
def done(place):
    return {command: run(command, place) for command in COMMANDS}


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_works(done, command):
    result = done[command]
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


def test_the_size_that_was_said_is_on_the_disk(place, done):
    dry, written = (done[c].stdout for c in COMMANDS[1:3])
    said = dict(re.findall(r'^(train|val): .* \((\d+) bytes\) in', written,
                           re.M))
    assert said['train'] in dry and 'rows written' not in dry
    assert {split: folder_bytes(place / 'data/mini_trunk' / split)
            for split in said} == {k: int(v) for k, v in said.items()}
    assert 'train: 128 rows written, 0 were there before' in written
    assert not (place / 'work_dirs/mini_cut/trunk_cache').exists()


def test_it_says_the_options_of_the_page(done):
    assert COMMANDS[3].split('--cfg-options ')[1] in done[COMMANDS[2]].stdout


def test_the_training_learns_and_selects(place, done):
    files = sorted((place / 'work_dirs/mini_cut').glob('*/vis_data/*.json'))
    logged = [json.loads(line) for line in
              files[-1].with_name('scalars.json').read_text().splitlines()]
    losses = [entry['loss'] for entry in logged if 'loss' in entry]
    assert len(losses) == 4 and np.isfinite(losses).all()
    assert any('acc/top1' in entry for entry in logged)


def test_again_nothing_is_left_to_do(place, done):
    result = run(COMMANDS[2], place)
    assert 'train: 0 rows written, 128 were there before' in result.stdout
    assert 'still to write: 0 B' in result.stdout
    config = page_config(place)
    plans = make_plans(config, build_model(config),
                       place / 'data/mini_trunk', ['train'], 2, 'fp16')
    with pytest.raises(ValueError, match='views: stored 4, now 2'):
        say_size(plans, place / 'data/mini_trunk')


def interrupted(place, folder):
    """Start the page's command, and press Ctrl-C once it has stored rows."""
    command = COMMANDS[2].split()[1:]
    command[command.index('data/mini_trunk')] = str(folder)
    with subprocess.Popen(
            [sys.executable, *command, '--batch-size', '4', '--workers', '0'],
            cwd=place, env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True) as process:
        features = folder / '.train.part/audio.0.npy'
        while process.poll() is None and not (
                features.exists() and features.stat().st_size > 1000):
            time.sleep(.01)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1], process.returncode


@pytest.mark.skipif(os.name == 'nt', reason='signals of POSIX')
def test_stopped_and_gone_on(place, done, tmp_path):
    errors, status = interrupted(place, tmp_path / 'cache')
    assert status == 130, errors
    assert 'the same command goes on' in errors
    assert not (tmp_path / 'cache/train').exists()
    config = page_config(place)
    model = build_model(config)
    counts = {}
    for name in ('cache', 'whole'):
        plan, = make_plans(config, model, tmp_path / name, ['train'], 4,
                           'fp16')
        counts[name] = write_cache(plan, model, batch_size=4)
    assert 0 < counts['cache'] < counts['whole'] == 128
    for path in (tmp_path / 'whole/train').iterdir():
        other = tmp_path / 'cache/train' / path.name
        assert other.read_bytes() == path.read_bytes(), path.name


def page_config(place):
    """The page's config, for this process' own folder."""
    config = Config.fromfile(place / 'configs/mbcd/mini_cut.py')
    config.load_from = str(place / 'work_dirs/mini_d1/epoch_1.pth')
    for name in ('train', 'val', 'test'):
        config[f'{name}_dataloader'].dataset.data_root = str(
            place / 'data/mini')
    return config


class Losses(Hook):
    """Every step's total, and the calls of the trunks."""

    def __init__(self):
        self.values, self.calls = [], 0

    def before_train(self, runner):
        for branch in runner.model.branches.values():
            for module in branch.trunk_modules:
                module.register_forward_hook(self._count)

    def _count(self, *_):
        self.calls += 1

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.values.append(outputs['loss'].item())


def plain_config(place, work_dir, audio_stages=3, **options):
    """The page's config without randomness in its training pipeline."""
    config = page_config(place)
    COUNT.append(1)
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        loader.dataset.pipeline = config.val_dataloader.dataset.pipeline
        loader.dataset.indices = 16
        loader.num_workers = 0
    config.merge_from_dict({
        'train_cfg.max_epochs': 2, 'work_dir': str(work_dir),
        'train_dataloader.batch_size': 8, 'randomness.seed': 0,
        'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=1e-2),
        'model.branches.audio.trunk_stages': audio_stages,
        'log_level': 'WARNING', 'experiment_name': f'cache_{len(COUNT)}',
        **options})
    # sound of a random second is the one thing left to chance
    for steps in config.train_dataloader.dataset.pipeline:
        for step in steps.get('pipelines', {}).get('audio', ()):
            if step.type == 'LoadAudioClip':
                step.duration = 0.5
    return config


def train(config):
    runner = Runner.from_cfg(config)
    losses = Losses()
    runner.register_hook(losses)
    runner.train()
    scores = runner.message_hub.get_scalar('val/acc/top1').data[0]
    return losses, [float(x) for x in scores]


@pytest.mark.parametrize('audio_stages', [3, -1])
def test_training_is_the_same_with_and_without(place, done, tmp_path,
                                               audio_stages):
    """MBCD, views=1, fp32; -1 leaves sound without a trunk, as input."""
    config = plain_config(place, tmp_path / 'without', audio_stages)
    without, scores = train(config)
    model = build_model(config)
    plans = make_plans(config, model, tmp_path / 'cache', ['train', 'val'],
                       views=1, precision='fp32')
    said, fits = say_size(plans, tmp_path / 'cache')
    assert fits and 'audio.' + ('input' if audio_stages < 0 else '0') in said
    for plan in plans:
        assert write_cache(plan, model) == plan.description.rows
        assert folder_bytes(plan.folder) == plan.description.size()
    stored, again = train(plain_config(
        place, tmp_path / 'with', audio_stages, **{
            f'{split}_dataloader.dataset.trunk_cache':
            str(tmp_path / 'cache' / split) for split in ('train', 'val')}))
    assert len(stored.values) == 4 and without.calls > 0
    assert stored.calls == 0
    np.testing.assert_allclose(stored.values, without.values, rtol=1e-4)
    assert again == pytest.approx(scores)


def test_other_weights_are_refused(place, done, tmp_path):
    """A last stage that has trained since does not matter, a trunk does."""
    config = page_config(place)
    before, after = (build_model(config, str(
        place / f'work_dirs/{name}/epoch_1.pth'))
        for name in ('mini_d1', 'mini_cut'))
    for m in before.branches:
        assert describe_trunk(before, m) == describe_trunk(after, m)
    config.merge_from_dict({
        'load_from': None, 'work_dir': str(tmp_path),
        'train_dataloader.num_workers': 0, 'experiment_name': 'random',
        'train_dataloader.dataset.trunk_cache':
        str(place / 'data/mini_trunk/train')})
    with pytest.raises(ValueError, match="of another trunk than the model's: "
                       'weights: stored'):
        Runner.from_cfg(config).train()
    with pytest.raises(ValueError, match='have random weights'):
        build_model(config)


def test_views_are_drawn_by_clip_and_view(place, done, tmp_path):
    """The same whatever else is stored; other views differ."""
    config = page_config(place)
    model = build_model(config)
    found = []
    for domains in (['D2'], ['D2', 'D3']):
        config.train_dataloader.dataset.domains = domains
        plan, = make_plans(config, model, tmp_path / str(len(domains)),
                           ['train'], views=2, precision='fp32')
        write_cache(plan, model, batch_size=1)
        values = np.load(plan.folder / 'flow.0.npy')
        found.append(dict(zip(
            plan.keys, values.reshape(-1, 2, *values.shape[1:]),
            strict=True)))
    assert set(found[0]) < set(found[1])
    for key, views in found[0].items():
        assert np.array_equal(views, found[1][key])
        assert not np.array_equal(views[0], views[1])


def test_what_cannot_be_stored(place, done, tmp_path):
    config = plain_config(place, tmp_path)
    config.model.trunk_norm = 'batch'
    with pytest.raises(ValueError, match="trunk_norm='batch' for"):
        build_model(config)
    config = Config.fromfile(ROOT / 'configs/mbcd/mini_d1.py')
    with pytest.raises(ValueError, match='no modality has a frozen trunk'):
        build_model(config)
    config = plain_config(place, tmp_path)
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match='weights of all frozen trunks'):
        build_model(config, str(tmp_path / 'empty.pth'))
    model = build_model(config)
    with torch.no_grad():
        model.branches.flow.backbone.layer3[0].conv1.bn.bias += 1e6
    plan, = make_plans(config, model, tmp_path / 'cache', ['val'], 1, 'fp16')
    with pytest.raises(ValueError, match='flow.0.npy: .*precision bf16'):
        write_cache(plan, model)
    with pytest.raises(ValueError, match='--views'):
        make_plans(config, model, tmp_path, ['val'], 0, 'fp16')
    # a field that the packing step takes from another transform
    config.val_dataloader.dataset.pipeline[-1].meta_keys = ['video']
    with pytest.raises(ValueError, match=r"puts \['video'\] into data"):
        make_plans(config, model, tmp_path, ['val'], 1, 'fp16')
