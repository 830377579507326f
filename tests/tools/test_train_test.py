"""The command line tools, as a person starts them."""
import json
import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import mmaction
import pytest
import torch

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
STOCK = Path(mmaction.__file__).parent / '.mim/tools'
CONFIG = ROOT / 'configs/mbcd/mini_d1.py'
EPIC = ROOT / 'configs/mbcd/epic_d1.py'
# D2 and D3 have 16 training clips each in the fixture, so 8 steps an epoch.
CLIPS, BATCH = 32, 4


def start(*command, cwd, **env):
    """Run a command to its end; returns the completed process."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True,
        text=True, timeout=600, stdin=subprocess.DEVNULL,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHON': sys.executable,
             'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', **env})


def python(script, *arguments, cwd):
    """Run a Python script with the interpreter of the tests."""
    return start(sys.executable, script, *arguments, cwd=cwd)


def short(root, epochs=1, **more):
    """--cfg-options for one short run on the fixture's mini set."""
    options = {'train_cfg.max_epochs': epochs,
               'train_dataloader.batch_size': BATCH,
               'default_hooks.logger.interval': 1}
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.data_root'] = root
        options[f'{split}_dataloader.num_workers'] = 0
    options.update(more)
    return ['--cfg-options', *(f'{k}={v}' for k, v in options.items())]


def scalars(work_dir):
    """All that the runs in a work dir logged, oldest first."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files
            for line in file.read_text().splitlines()]


def losses(work_dir):
    return [entry['loss'] for entry in scalars(work_dir) if 'loss' in entry]


def validations(work_dir):
    return [entry['acc/top1'] for entry in scalars(work_dir)
            if 'acc/top1' in entry]


@pytest.fixture(scope='module')
def trained(mini_root, tmp_path_factory):
    """A work dir after one epoch of our train.py."""
    place = tmp_path_factory.mktemp('trained')
    done = python(TOOLS / 'train.py', CONFIG, '--work-dir', place / 'run',
                  '--seed', 3, *short(mini_root), cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    return place / 'run'


def test_train(trained):
    assert len(losses(trained)) == CLIPS // BATCH
    assert all(loss == loss for loss in losses(trained))
    assert len(validations(trained)) == 1
    assert (trained / 'epoch_1.pth').is_file()
    assert (trained / 'best_acc_top1_epoch_1.pth').is_file()


def test_the_hosts_own_train_tool_trains_the_same(trained, mini_root,
                                                  tmp_path):
    """MMAction2's script from its wheel, which knows nothing of us."""
    done = python(STOCK / 'train.py', CONFIG, '--work-dir', tmp_path / 'run',
                  '--seed', 3, *short(mini_root), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(tmp_path / 'run') == losses(trained)
    assert validations(tmp_path / 'run') == validations(trained)


def test_another_seed_is_another_run(trained, mini_root, tmp_path):
    """Also where the config sets randomness, which the host would keep."""
    done = python(TOOLS / 'train.py', CONFIG, '--work-dir', tmp_path / 'run',
                  '--seed', 4, '--no-validate', *short(mini_root),
                  cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(losses(tmp_path / 'run')) == CLIPS // BATCH
    assert losses(tmp_path / 'run') != losses(trained)
    assert validations(tmp_path / 'run') == []


def test_resume_goes_on_after_the_last_epoch(trained, mini_root, tmp_path):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    stored = (trained / 'epoch_1.pth').read_bytes()
    (work_dir / 'epoch_1.pth').write_bytes(stored)
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
    done = python(TOOLS / 'train.py', CONFIG, '--work-dir', work_dir,
                  '--seed', 3, '--resume', *short(mini_root, epochs=2),
                  cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = [entry['iter'] for entry in scalars(work_dir) if 'loss' in entry]
    epoch = CLIPS // BATCH
    assert steps == list(range(epoch + 1, 2 * epoch + 1))
    assert torch.load(work_dir / 'epoch_2.pth',
                      weights_only=True)['meta']['epoch'] == 2


def test_mixed_precision_without_a_gpu(trained, mini_root, tmp_path):
    done = python(TOOLS / 'train.py', CONFIG, '--work-dir', tmp_path / 'run',
                  '--seed', 3, '--amp', '--no-validate', *short(mini_root),
                  cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    half, full = losses(tmp_path / 'run'), losses(trained)
    assert len(half) == len(full)
    assert half != full
    assert half[0] == pytest.approx(full[0], rel=0.02)


def dumped(path):
    """The predictions of ``--dump`` by clip: a file of our own making."""
    with open(path, 'rb') as file:
        return {sample['clip_id']: sample for sample in pickle.load(file)}


def free_port():
    with socket.socket() as opened:
        opened.bind(('127.0.0.1', 0))
        return str(opened.getsockname()[1])


def test_test_in_one_and_in_two_processes(trained, mini_root, tmp_path):
    checkpoint = trained / 'epoch_1.pth'
    one, two = tmp_path / 'one', tmp_path / 'two'
    alone = python(TOOLS / 'test.py', CONFIG, checkpoint, '--work-dir', one,
                   '--dump', tmp_path / 'one.pkl', *short(mini_root),
                   cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr[-3000:]
    both = start('bash', TOOLS / 'dist_test.sh', CONFIG, checkpoint, 2,
                 '--work-dir', two, '--dump', tmp_path / 'two.pkl',
                 *short(mini_root, **{'test_dataloader.batch_size': 3}),
                 cwd=tmp_path, PORT=free_port())
    assert both.returncode == 0, both.stderr[-3000:]
    scores = [json.loads(next(place.glob('2*/2*.json')).read_text())
              for place in (one, two)]
    for done in (alone, both):
        assert re.search(r'acc/num_clips: 8(\.0+)?\s', done.stdout)
    assert scores[0]['acc/D1/top1'] == scores[0]['acc/top1']
    for key in scores[0]:
        if key.startswith('acc/'):
            assert scores[0][key] == pytest.approx(scores[1][key]), key
    left, right = dumped(tmp_path / 'one.pkl'), dumped(tmp_path / 'two.pkl')
    assert len(left) == 8 and set(left) == set(right)
    for clip in left:
        torch.testing.assert_close(left[clip]['pred_score'],
                                   right[clip]['pred_score'])


def test_train_in_two_processes_without_a_gpu(mini_root, tmp_path):
    done = start('bash', TOOLS / 'dist_train.sh', CONFIG, 2, '--work-dir',
                 tmp_path / 'run', '--seed', 3, *short(mini_root),
                 cwd=tmp_path, PORT=free_port())
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(losses(tmp_path / 'run')) == CLIPS // BATCH // 2
    assert len(validations(tmp_path / 'run')) == 1
    assert (tmp_path / 'run/epoch_1.pth').is_file()


def assert_asks_for_media(done, folder):
    assert done.returncode == 1
    assert folder in done.stderr
    assert 'docs/data_preparation.md' in done.stderr
    assert 'video' in done.stderr and 'flow' in done.stderr
    assert 'Traceback' not in done.stderr


def test_absent_media_stop_training_and_testing(trained, tmp_path):
    done = python(TOOLS / 'train.py', EPIC, cwd=tmp_path)
    assert_asks_for_media(done, 'data/epic-kitchens')
    done = python(TOOLS / 'test.py', EPIC, trained / 'epoch_1.pth',
                  cwd=tmp_path)
    assert_asks_for_media(done, 'data/epic-kitchens')
    assert list(tmp_path.iterdir()) == []


def test_absent_media_stop_before_a_model_is_built(tmp_path):
    spy = tmp_path / 'spy.py'
    spy.write_text("""
import runpy, sys
from mmengine.registry import Registry
build = Registry.build
def told(self, cfg, *args, **kwargs):
    print('building', self.name, cfg.get('type'))
    return build(self, cfg, *args, **kwargs)
Registry.build = told
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
""")
    done = python(spy, TOOLS / 'train.py', EPIC, cwd=tmp_path)
    assert done.returncode == 1
    assert 'building dataset EpicKitchensDataset' in done.stdout
    assert 'building model' not in done.stdout
    assert 'building runner' not in done.stdout


def test_absent_mini_set_names_its_command(tmp_path):
    done = python(TOOLS / 'train.py', CONFIG, cwd=tmp_path)
    assert done.returncode == 1
    assert 'data/mini' in done.stderr
    assert 'python tools/data/make_mini.py' in done.stderr
    assert 'Traceback' not in done.stderr


def test_absent_checkpoint(tmp_path):
    done = python(TOOLS / 'test.py', CONFIG, 'no_such.pth', cwd=tmp_path)
    assert done.returncode == 1
    assert 'no_such.pth' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh',
                                    'slurm_train.sh'])
def test_launchers_say_how_they_are_called(script, tmp_path):
    done = start('bash', TOOLS / script, cwd=tmp_path)
    assert done.returncode == 2
    assert 'usage' in done.stderr and 'CONFIG' in done.stderr


def test_slurm_launcher_passes_what_it_was_given(tmp_path):
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    done = start('bash', TOOLS / 'slurm_train.sh', 'gpus', 'mbcd', CONFIG,
                 '--seed', 1, cwd=tmp_path, GPUS='2',
                 PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert {'--partition=gpus', '--job-name=mbcd', '--gres=gpu:2',
            '--ntasks=2', '--ntasks-per-node=2'} <= set(words)
    assert words[-5:] == [str(CONFIG), '--launcher', 'slurm', '--seed', '1']
