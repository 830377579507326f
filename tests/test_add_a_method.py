"""docs/add_a_method.md does what it says."""
import importlib
import json
import re
import runpy
import shlex
import shutil
import sys
from glob import glob

import numpy as np
import pytest
import torch
from mini_runs import ROOT
from mmaction.registry import MODELS
from scipy.stats import entropy

from mbcd_mmaction.models import objectives
from mbcd_mmaction.models.objectives import Objective, TrainingBatch

TEXT = (ROOT / 'docs/add_a_method.md').read_text(encoding='utf-8')
# The file that stands above a block, and the block.
FILES = dict(re.findall(r'^`(\S+\.py)`:\n\n```python\n(.*?)```', TEXT,
                        re.S | re.M))
BASH, = re.findall(r'```bash\n(.*?)```', TEXT, re.S)
COMMANDS = BASH.splitlines()
MODULE = 'mbcd_mmaction.models.objectives.mutual_learning'
# What makes the trainings of the page short; nothing else is changed.
SHORT = ['train_cfg.max_epochs=1', 'train_dataloader.num_workers=0',
         'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
         'default_hooks.logger.interval=1']


@pytest.fixture
def place(mini_root, tmp_path, monkeypatch):
    """A working copy with the files of the page, and the mini set."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/mini').symlink_to(mini_root)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    monkeypatch.chdir(tmp_path)
    # the package reads its folder of objectives here too
    monkeypatch.setattr(objectives, '__path__', [
        *objectives.__path__,
        str(tmp_path / 'mbcd_mmaction/models/objectives')])
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop(MODULE, None)
    vars(objectives).pop('mutual_learning', None)
    MODELS.module_dict.pop('MutualLearning', None)


def run(command, monkeypatch):
    """One line of the page, as a shell would read it, in this process."""
    python, *words = shlex.split(command)
    assert python == 'python'
    words = [name for word in words
             for name in (sorted(glob(word)) if '*' in word else [word])]
    if '--cfg-options' not in words:
        words.append('--cfg-options')
    monkeypatch.setattr(sys, 'argv', [*words, *SHORT])
    assert runpy.run_path(words[0])['main']() == 0


def scalars(work_dir):
    path, = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_file_and_one_config():
    assert list(FILES) == [MODULE.replace('.', '/') + '.py',
                           'configs/mutual_learning/mini_d1.py']
    assert len(COMMANDS) == 3
    body = FILES[MODULE.replace('.', '/') + '.py'].split('trains_unimodal')[1]
    assert len(body.splitlines()) < 20


def test_its_term_by_loops(place):
    cls = importlib.import_module(MODULE).MutualLearning
    heads = {m: torch.randn(4, 3, dtype=torch.float64) for m in 'abc'}
    losses = cls(embed_dims=dict(a=2, b=2, c=2), num_classes=3,
                 mutual_weight=.5).losses(TrainingBatch(
                     embeddings={}, unimodal_logits=heads,
                     fused_logits=heads['a'], labels=torch.zeros(4).long(),
                     fuse=None, averaged=None, averaged_embeddings=None))
    prob = {m: x.softmax(1).numpy() for m, x in heads.items()}
    # each head's mean over its two peers and over clips
    expected = sum(np.mean([entropy(prob[peer][n], prob[own][n])
                            for peer in prob if peer != own
                            for n in range(4)]) for own in prob)
    assert losses['loss_mutual'].item() == pytest.approx(.5 * expected)
    assert losses['loss_a'] == losses['loss_cls'] != losses['loss_b']


def test_every_command_works(place, monkeypatch):
    for command in COMMANDS:
        run(command, monkeypatch)
    with_it, without = (
        [step for step in scalars(place / 'work_dirs' / name)
         if 'loss' in step]
        for name in ('mutual_learning_mini_d1', 'without_it'))
    terms = ('cls', 'video', 'flow', 'audio', 'mutual')
    for step in with_it:
        assert step['loss_mutual'] > 0
        assert step['loss'] == pytest.approx(
            sum(step[f'loss_{name}'] for name in terms), rel=1e-4)
    assert len(with_it) == len(without) == 2
    assert all(step['loss_mutual'] == 0 for step in without)
    # same weights and clips at first; then the term has moved the weights
    assert with_it[0]['loss_cls'] == without[0]['loss_cls']
    assert with_it[1]['loss_cls'] != without[1]['loss_cls']
    tested, = (place / 'work_dirs/mini_d1').glob('*/*.json')
    assert 0 <= json.loads(tested.read_text())['acc/D1/top1'] <= 1


def test_every_field_of_the_batch_is_told():
    told = set(re.findall(r'`(\w+)[`(]', '\n'.join(
        re.findall(r'^\| (`.*?) \|', TEXT, re.M))))
    assert told == set(TrainingBatch.__dataclass_fields__)
    assert 'trains_unimodal' in vars(Objective)


def test_named_files_exist():
    names = re.findall(r'`((?:objectives|tests|configs)/[\w/.]+)`', TEXT)
    names = [name.replace('objectives/', 'mbcd_mmaction/models/objectives/')
             for name in names if name not in FILES]
    assert len(names) == 5
    assert [name for name in names if not (ROOT / name).exists()] == []
    for link in re.findall(r'\]\((\w+\.md)\)', TEXT):
        assert (ROOT / 'docs' / link).is_file()
