"""Training and testing on two modalities, the third not on disk."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_media
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/mbcd/mini_d1.py'
CLIPS, BATCH = 2, 2
SETS = {'VA': ['video', 'audio'], 'VF': ['video', 'flow'],
        'AF': ['audio', 'flow']}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A tiny set of all modalities: copy it, do not change it."""
    root = tmp_path_factory.mktemp('media') / 'mini'
    tiny_media.write_set(root, ('D1', 'D2', 'D3'), ('train', 'test'), CLIPS)
    return root


def tool(name, *arguments, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / 'tools' / name), str(ROOT / CONFIG),
         *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        timeout=600, stdin=subprocess.DEVNULL,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1',
             'CUDA_VISIBLE_DEVICES': ''})


def options(root, modalities=None, **more):
    found = {'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': BATCH,
             'default_hooks.logger.interval': 1}
    if modalities:
        found['model.modalities'] = str(modalities).replace(' ', '')
    for split in ('train', 'val', 'test'):
        found[f'{split}_dataloader.dataset.data_root'] = root
        found[f'{split}_dataloader.num_workers'] = 0
    found.update(more)
    return ['--cfg-options', *(f'{k}={v}' for k, v in found.items())]


@pytest.mark.parametrize('name', SETS)
def test_two_modalities_without_the_files_of_the_third(whole, name, tmp_path):
    used = SETS[name]
    other, = {'video', 'flow', 'audio'} - set(used)
    root = tmp_path / 'mini'
    shutil.copytree(whole, root)
    shutil.rmtree(root / other)
    run = tmp_path / 'run'
    done = tool('train.py', '--work-dir', run, '--seed', 0,
                *options(root, used), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    logged = [json.loads(line) for file in run.glob('*/vis_data/scalars.json')
              for line in file.read_text().splitlines()]
    steps = [entry for entry in logged if 'loss' in entry]
    assert len(steps) == 2 * CLIPS // BATCH
    for step in steps:
        assert {f'loss_{m}' for m in used} <= set(step)
        assert f'loss_{other}' not in step
    state = torch.load(run / 'epoch_1.pth', weights_only=True)['state_dict']
    branches = {key.split('.')[1] for key in state
                if key.startswith('branches.')}
    assert branches == set(used)

    done = tool('test.py', run / 'epoch_1.pth', '--work-dir', run / 'test',
                *options(root, used), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    scores, = (json.loads(file.read_text())
               for file in (run / 'test').glob('2*/2*.json'))
    assert scores['acc/num_clips'] == CLIPS
    assert {f'acc/{m}/top1' for m in used} <= set(scores)
    assert f'acc/{other}/top1' not in scores


def test_a_model_of_three_predicts_from_two(whole, tmp_path):
    """A target without sound: its dataset alone is told."""
    init_default_scope('mmaction')
    model = MODELS.build(Config.fromfile(ROOT / CONFIG).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'c.pth')
    root = tmp_path / 'mini'
    shutil.copytree(whole, root)
    shutil.rmtree(root / 'audio')
    done = tool('test.py', tmp_path / 'c.pth', '--work-dir', tmp_path / 'run',
                *options(root, **{'test_dataloader.dataset.modalities':
                                  "['video','flow']"}), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    scores, = (json.loads(file.read_text())
               for file in (tmp_path / 'run').glob('2*/2*.json'))
    assert scores['acc/num_clips'] == CLIPS
    assert {'acc/video/top1', 'acc/flow/top1'} <= set(scores)
    assert 'acc/audio/top1' not in scores


def test_without_the_option_the_absent_files_are_an_error(whole, tmp_path):
    root = tmp_path / 'mini'
    shutil.copytree(whole, root)
    shutil.rmtree(root / 'flow')
    done = tool('train.py', '--work-dir', tmp_path / 'run', *options(root),
                cwd=tmp_path)
    assert done.returncode == 1
    assert 'flow' in done.stderr and 'Traceback' not in done.stderr
