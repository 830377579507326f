"""Pretrained weights that do not fit, or are none: an error that helps."""
import os
import re
import traceback

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from published_files import (
    AUDIO,
    SLOWFAST,
    SLOWONLY,
    new_openmmlab_file,
    randomize,
    refused,
    torchvision_resnet18,
)

from mbcd_mmaction.models import Branch
from mbcd_mmaction.models.pretrained import load_backbone

register_all_modules()


@pytest.mark.parametrize('lost,where', [
    ('conv1.bn.running_var', r'\n  conv1 \(frozen\), 1 of 5: '),
    ('layer4.1.conv2.conv.weight', r'\n  layer4 \(trained\), 1 of 25: ')])
def test_a_missing_tensor_is_listed(tmp_path, lost, where):
    backbone = Branch(AUDIO).backbone
    state = randomize(backbone.state_dict())
    del state[lost]
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', backbone, ValueError,
                   'lacks 1 of 100 tensors')
    assert re.search(where + re.escape(lost) + '\n', text)
    assert 'w.pth' in text


def test_a_missing_last_stage_is_listed(tmp_path):
    """What the released baselines pass over for audio."""
    branch = Branch(AUDIO, modality='audio')
    state = {n: t for n, t in randomize(branch.backbone.state_dict()).items()
             if not n.startswith('layer4')}
    torch.save(state, tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', branch.backbone, ValueError,
                   'lacks 25 of 100 tensors')
    listed = [line for line in text.split('\n') if line.startswith('  ')]
    assert len(listed) == 1
    assert listed[0].startswith('  layer4 (trained), 25 of 25: '
                                'layer4.0.conv1.conv.weight, ')
    assert listed[0].endswith(' and 17 more')


def test_each_pathway_is_listed(tmp_path):
    backbone = Branch(SLOWFAST).backbone
    state = {n: t for n, t in randomize(backbone.state_dict()).items()
             if not re.match(r'slow_path\.(layer4|conv1_lateral)|fast_path'
                             r'\.(conv1|layer2\.0)', n)}
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', backbone, ValueError, 'the file lacks')
    listed = re.findall(r'\n  (\S+) \((\w+)\), (\d+) of (\d+):', text)
    assert listed == [('slow_path.layer4', 'trained', '50', '50'),
                      ('slow_path.conv1_lateral', 'frozen', '1', '1'),
                      ('fast_path.conv1', 'frozen', '5', '5'),
                      ('fast_path.layer2', 'frozen', '20', '65')]


def test_another_network(tmp_path):
    new_openmmlab_file(tmp_path / 'w.pth', SLOWONLY)
    refused(tmp_path / 'w.pth', MODELS.build(AUDIO), ValueError, 'shape')
    refused(tmp_path / 'w.pth', MODELS.build(SLOWFAST), ValueError, 'lacks')


def test_a_deeper_network(tmp_path):
    """ResNet-101 holds every tensor of ResNet-50, and more."""
    new_openmmlab_file(tmp_path / 'w.pth', {**SLOWONLY, 'depth': 101})
    text = refused(tmp_path / 'w.pth', MODELS.build(SLOWONLY), ValueError,
                   'tensors more')
    assert 'layer3.6.' in text


def test_a_2d_network(tmp_path):
    """ImageNet's ResNet-18 has the names of a 3D one, not its shapes."""
    torch.save(
        {n: torch.zeros(s) for n, s in torchvision_resnet18(8).items()},
        tmp_path / 'w.pth')
    flat = dict(type='ResNet3d', depth=18, pretrained=None, in_channels=1,
                base_channels=8)
    for adapt_stem in (False, True):
        refused(tmp_path / 'w.pth', MODELS.build(flat), ValueError,
                'of a 2D network', adapt_stem=adapt_stem)


def test_an_absent_file():
    text = refused('nowhere/slowfast.pth', MODELS.build(AUDIO),
                   FileNotFoundError, 'docs/data_preparation.md')
    assert os.path.abspath('nowhere/slowfast.pth') in text
    assert 'AudioResNet' in text and 'checkpoint=None' in text


@pytest.mark.parametrize('content', [
    [1, 2], torch.zeros(3), dict(epoch=1), {1: torch.zeros(1)},
    dict(state_dict={'conv1.conv.weight': 3})])
def test_not_a_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    refused(tmp_path / 'w.pth', MODELS.build(AUDIO), ValueError, 'w.pth')


def test_a_number_where_a_tensor_belongs(tmp_path):
    state = dict(MODELS.build(AUDIO).state_dict())
    state['conv1.conv.weight'] = 3
    torch.save(state, tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', MODELS.build(AUDIO), ValueError,
                   'lacks 1 of 100 tensors')
    assert 'conv1.conv.weight' in text


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('keep', [0, 0.01, 0.5, 0.999])
def test_a_cut_off_file(tmp_path, keep, zipped):
    path = tmp_path / 'w.pth'
    torch.save(MODELS.build(AUDIO).state_dict(), path,
               _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * keep)])
    text = refused(path, MODELS.build(AUDIO), ValueError, 'was cut off')
    assert f'remove {path}' in text


class Rogue:
    """Would call a function when unpickled."""

    def __reduce__(self):
        return os.mkdir, ('made-by-a-checkpoint', )


@pytest.mark.parametrize('zipped', [True, False])
def test_a_file_that_could_run_code(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    state = MODELS.build(AUDIO).state_dict()
    torch.save(dict(state_dict=state, meta=Rogue()), 'w.pth',
               _use_new_zipfile_serialization=zipped)
    backbone = MODELS.build(AUDIO)
    text = refused('w.pth', backbone, ValueError, 'refused: expected tensors')
    assert 'posix.mkdir' in text or 'nt.mkdir' in text
    assert not os.path.exists('made-by-a-checkpoint')
    with pytest.raises(ValueError) as caught:
        load_backbone(backbone, 'w.pth')
    # torch's own text, which advises to trust the file, stays out of sight
    assert 'weights_only' not in ''.join(
        traceback.format_exception(caught.value))
