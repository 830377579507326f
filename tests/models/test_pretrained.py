"""Pretrained weights: every tensor of the published files."""
import copy
import os
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from published_files import (
    AUDIO,
    PUBLISHED,
    SLOWONLY,
    assert_loaded,
    randomize,
    refused,
    torchvision_resnet18,
    vggsound_file,
)

from mbcd_mmaction.models import Branch, MultiModalRecognizer
from mbcd_mmaction.models.pretrained import load_backbone, match_keys

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'configs/_base_/models/slowfast-r101_slowonly-r50_resnet18.py'

register_all_modules()


@pytest.mark.parametrize('counters', [True, False])
@pytest.mark.parametrize('which', PUBLISHED)
def test_every_tensor_is_loaded(tmp_path, which, counters):
    name, config, write = PUBLISHED[which]
    expected = write(tmp_path / name, config, counters=counters)
    branch = Branch(config, checkpoint=str(tmp_path / name))
    before = branch.backbone.state_dict()
    assert not any(torch.equal(before[n], t) for n, t in expected.items())
    branch.init_weights()
    assert_loaded(branch, expected)


def test_full_size_names_and_shapes():
    """The shipped backbones are those of the files, tensor by tensor.

    On the meta device: 104 M parameters without memory.
    """
    config = Config.fromfile(MODEL)
    with torch.device('meta'):
        backbones = {m: MODELS.build(b.backbone)
                     for m, b in config.model.branches.items()}
        states = {
            m: {f'backbone.{n}': torch.empty_like(t)
                for n, t in backbones[m].state_dict().items()}
            for m in ('video', 'flow')
        }
        for m, dims in (('video', 2304), ('flow', 2048)):
            states[m]['cls_head.fc_cls.weight'] = torch.empty(400, dims)
            states[m]['cls_head.fc_cls.bias'] = torch.empty(400)
        states['audio'] = {f'audnet.{n}': torch.empty(shape)
                           for n, shape in torchvision_resnet18(64).items()}
    assert {m: len(s) for m, s in states.items()} == {
        'video': 1254, 'flow': 320, 'audio': 122}
    shapes = {n: tuple(t.shape) for s in states.values()
              for n, t in s.items()}
    assert shapes['backbone.slow_path.conv1.conv.weight'] == (64, 3, 1, 7, 7)
    assert shapes['backbone.fast_path.conv1.conv.weight'] == (8, 3, 5, 7, 7)
    assert shapes['backbone.conv1.conv.weight'] == (64, 2, 1, 7, 7)
    assert shapes['audnet.conv1.weight'] == (64, 1, 7, 7)
    assert shapes['audnet.fc.weight'] == (309, 512)
    for m, state in states.items():
        expected = backbones[m].state_dict()
        matched = match_keys(state, expected)
        assert matched.keys() == expected.keys()
        assert len(matched) == len(state) - 2  # the head's two


def test_the_documentation_names_the_files():
    text = (ROOT / 'docs/data_preparation.md').read_text(encoding='utf-8')
    section = text.partition('## Pretrained weights')[2].partition('\n## ')[0]
    for name, _, _ in PUBLISHED.values():
        assert name in section
    for branch in Config.fromfile(MODEL).model.branches.values():
        assert os.path.basename(branch.checkpoint) in section


def test_full_size_file_of_vggsound(tmp_path):
    branch_config = Config.fromfile(MODEL).model.branches.audio
    expected = vggsound_file(tmp_path / 'H.pth.tar', width=64)
    branch_config.checkpoint = str(tmp_path / 'H.pth.tar')
    branch = Branch(**branch_config)
    branch.init_weights()
    assert len(expected) == 120
    assert_loaded(branch, expected)


@pytest.mark.parametrize('wrap', [
    lambda s: s, lambda s: dict(state_dict=s), lambda s: dict(model=s),
    lambda s: {f'module.{n}': t for n, t in s.items()},
    lambda s: dict(state_dict={
        f'module.backbone.{n}': t for n, t in s.items()}),
    lambda s: {f'encoder.{n}': t for n, t in s.items()},
    # what MMEngine's runner adds
    lambda s: dict(message_hub=dict(loss=HistoryBuffer([1.0], [1])),
                   state_dict={f'backbone.{n}': t for n, t in s.items()})])
def test_other_wrappings(tmp_path, wrap):
    backbone = MODELS.build(AUDIO)
    expected = randomize(backbone.state_dict())
    torch.save(wrap(expected), tmp_path / 'w.pth')
    load_backbone(backbone, str(tmp_path / 'w.pth'))
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_a_prefix_that_no_rule_knows(tmp_path):
    """A branch out of a checkpoint of this package's own."""
    source = Branch(SLOWONLY)
    expected = randomize(source.backbone.state_dict())
    state = {f'branches.flow.backbone.{n}': t for n, t in expected.items()}
    state |= {f'branches.video.backbone.{n}': 2 * t
              for n, t in expected.items()}
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')
    path = str(tmp_path / 'epoch_1.pth')
    text = refused(path, source.backbone, ValueError, 'lacks 265 of 265')
    assert 'branches.flow.backbone.conv1' in text
    for prefix in ('branches.flow', 'branches.flow.backbone.'):
        backbone = MODELS.build(SLOWONLY)
        load_backbone(backbone, path, prefix=prefix)
        for name, value in backbone.state_dict().items():
            assert torch.equal(value, expected[name]), name
    branch = Branch(SLOWONLY, init_cfg=dict(
        type='Pretrained', checkpoint=path, prefix='branches.flow'))
    branch.init_weights()
    assert_loaded(branch, expected)
    text = refused(path, source.backbone, ValueError, 'lacks',
                   prefix='branches.depth')
    assert "the prefix 'branches.depth'" in text


def test_initialisation_reaches_every_branch(tmp_path):
    """From the recognizer's init_weights, which the Runner calls."""
    branches, expected = {}, {}
    for m, which in (('video', 'SlowFast 1.x'), ('flow', 'SlowOnly flow 0.x'),
                     ('audio', 'VGGSound')):
        name, config, write = PUBLISHED[which]
        expected[m] = write(tmp_path / name, config)
        branches[m] = dict(backbone=copy.deepcopy(config),
                           checkpoint=str(tmp_path / name))
    model = MultiModalRecognizer(branches=branches, num_classes=3)
    model.init_weights()
    for m in branches:
        assert_loaded(model.branches[m], expected[m])
