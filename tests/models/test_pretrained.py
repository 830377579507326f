"""Pretrained weights: files as they are published, shapes made small."""
import copy
import logging
import urllib.error
import urllib.request

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.logging import HistoryBuffer, MMLogger
from test_stages import SLOWFAST, SLOWONLY

from mbcd_mmaction.models import Branch, MultiModalRecognizer
from mbcd_mmaction.models.pretrained import load_backbone

register_all_modules()

AUDIO = dict(type='AudioResNet', depth=18, base_channels=4)


def randomize(tensors, seed=0):
    """Other values of the same shapes and types; counters count."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(t.shape, generator=generator).to(t.dtype)
        if t.is_floating_point() else torch.full_like(t, 7)
        for name, t in tensors.items()
    }


def openmmlab_file(path, config, head=(400, 96)):
    """``state_dict`` of a recognizer, beside what MMEngine's runner adds."""
    values = randomize(MODELS.build(config).state_dict())
    state = {f'backbone.{name}': t for name, t in values.items()}
    state['cls_head.fc_cls.weight'] = torch.rand(head)
    state['cls_head.fc_cls.bias'] = torch.rand(head[0])
    meta = dict(epoch=256, mmaction_version='1.0.0rc0', config='model = ...')
    torch.save(dict(meta=meta, state_dict=state), path)
    return values


def host_name(name):
    """torchvision's name of a tensor as MMAction2 has it, by hand."""
    parts = name.split('.')
    if parts[-2] == '0' and parts[-3] == 'downsample':
        return '.'.join([*parts[:-2], 'conv', parts[-1]])
    if parts[-2] == '1' and parts[-3] == 'downsample':
        return '.'.join([*parts[:-2], 'bn', parts[-1]])
    kind, number = parts[-2][:-1], parts[-2][-1]
    return '.'.join([*parts[:-2], f'conv{number}', kind, parts[-1]])


def torchvision_resnet18(width):
    """Name to shape of torchvision's ResNet-18 with one input channel."""
    names = {}

    def conv(name, out, channels, size):
        names[f'{name}.weight'] = (out, channels, size, size)

    def norm(name, channels):
        for leaf in ('weight', 'bias', 'running_mean', 'running_var'):
            names[f'{name}.{leaf}'] = (channels, )
        names[f'{name}.num_batches_tracked'] = ()

    conv('conv1', width, 1, 7)
    norm('bn1', width)
    channels = width
    for stage in range(4):
        out = width * 2**stage
        for block in range(2):
            lead = f'layer{stage + 1}.{block}'
            conv(f'{lead}.conv1', out, channels, 3)
            norm(f'{lead}.bn1', out)
            conv(f'{lead}.conv2', out, out, 3)
            norm(f'{lead}.bn2', out)
            if channels != out:
                conv(f'{lead}.downsample.0', out, channels, 1)
                norm(f'{lead}.downsample.1', out)
            channels = out
    names.update({'fc.weight': (309, 512), 'fc.bias': (309, )})
    return names


def vggsound_file(path, width=4):
    """``model_state_dict`` with ``audnet.`` before torchvision's names."""
    shapes = torchvision_resnet18(width)
    assert len(shapes) == 122
    state = randomize({
        name: torch.zeros(shape, dtype=torch.long if 'tracked' in name
                          else torch.float32)
        for name, shape in shapes.items()
    })
    torch.save(dict(epoch=12, model_state_dict={
        f'audnet.{name}': t for name, t in state.items()}), path)
    return {host_name(name): t for name, t in state.items()
            if not name.startswith('fc.')}


FILES = {
    'SlowFast': (SLOWFAST, lambda path: openmmlab_file(path, SLOWFAST)),
    'SlowOnly flow': (SLOWONLY, lambda path: openmmlab_file(path, SLOWONLY)),
    'VGGSound': (AUDIO, vggsound_file),
}


@pytest.mark.parametrize('family', FILES)
def test_every_tensor_is_loaded(tmp_path, family):
    config, write = FILES[family]
    path = tmp_path / 'weights.pth'
    expected = write(path)
    branch = Branch(config, checkpoint=str(path))
    before = branch.backbone.state_dict()
    assert not any(torch.equal(before[n], t) for n, t in expected.items())
    branch.init_weights()
    got = branch.backbone.state_dict()
    assert got.keys() == expected.keys()
    for name in got:
        assert torch.equal(got[name], expected[name]), name
    for part in ('conv1', 'layer1', 'layer4'):  # trunk and last stage
        assert any(part in name for name in got)


@pytest.mark.parametrize('wrap', [
    lambda s: s, lambda s: dict(state_dict=s), lambda s: dict(model=s),
    lambda s: {f'module.{n}': t for n, t in s.items()},
    lambda s: dict(state_dict={
        f'module.backbone.{n}': t for n, t in s.items()}),
    lambda s: {f'encoder.{n}': t for n, t in s.items()},
    # files older than PyTorch 0.4.1 count no batches
    lambda s: {n: t for n, t in s.items() if 'num_batches' not in n}])
def test_other_wrappings(tmp_path, wrap):
    backbone = MODELS.build(AUDIO)
    expected = randomize(backbone.state_dict())
    torch.save(wrap(expected), tmp_path / 'w.pth')
    load_backbone(backbone, str(tmp_path / 'w.pth'))
    for name, value in backbone.state_dict().items():
        if 'num_batches' not in name:
            assert torch.equal(value, expected[name]), name


def refused(path, backbone, error, message):
    before = {n: t.clone() for n, t in backbone.state_dict().items()}
    with pytest.raises(error, match=message) as caught:
        load_backbone(backbone, str(path))
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    return str(caught.value)


@pytest.mark.parametrize('lost', ['conv1.bn.running_var',
                                  'layer4.1.conv2.conv.weight'])
def test_a_missing_tensor_is_listed(tmp_path, lost):
    backbone = MODELS.build(AUDIO)
    state = randomize(backbone.state_dict())
    del state[lost]
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', backbone, ValueError,
                   'lacks 1 of 100 tensors')
    assert f"'{lost}'" in text and 'w.pth' in text


def test_another_network(tmp_path):
    openmmlab_file(tmp_path / 'w.pth', SLOWONLY)
    refused(tmp_path / 'w.pth', MODELS.build(AUDIO), ValueError, 'shape')
    refused(tmp_path / 'w.pth', MODELS.build(SLOWFAST), ValueError, 'lacks')


def test_another_shape(tmp_path):
    """RGB weights into a flow backbone, as happens."""
    rgb = copy.deepcopy(SLOWONLY)
    rgb['in_channels'] = 3
    openmmlab_file(tmp_path / 'w.pth', rgb)
    text = refused(tmp_path / 'w.pth', MODELS.build(SLOWONLY), ValueError,
                   'another shape')
    assert 'conv1.conv.weight' in text and 'w.pth' in text
    assert '(8, 3, 1, 7, 7)' in text and '(8, 2, 1, 7, 7)' in text


def test_a_deeper_network(tmp_path):
    """ResNet-101 holds every tensor of ResNet-50, and more."""
    openmmlab_file(tmp_path / 'w.pth', {**SLOWONLY, 'depth': 101})
    text = refused(tmp_path / 'w.pth', MODELS.build(SLOWONLY), ValueError,
                   'tensors more')
    assert 'layer3.6.' in text


def test_an_absent_file():
    text = refused('/nowhere/slowfast.pth', MODELS.build(AUDIO),
                   FileNotFoundError, 'docs/data_preparation.md')
    assert '/nowhere/slowfast.pth' in text and 'AudioResNet' in text


def test_no_network(monkeypatch, tmp_path):
    """A URL that cannot be reached says the same as an absent file."""
    url = 'https://example.org/weights-0dd54025.pth'

    def unreachable(*args, **kwargs):
        raise urllib.error.URLError('no route to host')

    monkeypatch.setattr(urllib.request, 'urlopen', unreachable)
    monkeypatch.setattr('torch.hub.urlopen', unreachable)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    text = refused(url, MODELS.build(AUDIO), FileNotFoundError,
                   'docs/data_preparation.md')
    assert url in text and 'no route to host' in text


@pytest.mark.parametrize('content', [[1, 2], torch.zeros(3), dict(epoch=1)])
def test_not_a_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / 'w.pth')
    refused(tmp_path / 'w.pth', MODELS.build(AUDIO), ValueError, 'w.pth')


def test_what_training_adds_to_a_file(tmp_path):
    """MMEngine's own checkpoints load although torch trusts no file."""
    backbone = MODELS.build(AUDIO)
    expected = randomize(backbone.state_dict())
    torch.save(
        dict(
            message_hub=dict(loss=HistoryBuffer([1.0], [1])),
            state_dict={f'backbone.{n}': t for n, t in expected.items()}),
        tmp_path / 'w.pth')
    assert torch.load(tmp_path / 'w.pth', weights_only=True)
    load_backbone(backbone, str(tmp_path / 'w.pth'))
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, expected[name])


def test_initialisation_reaches_every_branch(tmp_path):
    """From the recognizer's init_weights, which the Runner calls."""
    configs = dict(video=SLOWFAST, flow=SLOWONLY, audio=AUDIO)
    expected = {}
    for m, (_, write) in zip(configs, FILES.values(), strict=True):
        expected[m] = write(tmp_path / f'{m}.pth')
    model = MultiModalRecognizer(
        branches={
            m: dict(backbone=config, checkpoint=str(tmp_path / f'{m}.pth'))
            for m, config in configs.items()
        },
        num_classes=3)
    model.init_weights()
    for m in configs:
        got = model.branches[m].backbone.state_dict()
        for name, value in expected[m].items():
            assert torch.equal(got[name], value), (m, name)


class Heard(logging.Handler):

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def heard():
    """What goes to MMEngine's current logger."""
    logger = MMLogger.get_instance('pretrained')  # now the current one
    handler = Heard()
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)


def test_a_random_frozen_trunk_is_loud(tmp_path, heard):
    branch = Branch(AUDIO)
    branch.init_weights()
    loud = [r for r in heard if r.levelno >= logging.WARNING]
    assert len(loud) == 1
    assert 'RANDOM WEIGHTS' in loud[0].getMessage()
    assert 'AudioResNet' in loud[0].getMessage()
    heard.clear()
    Branch(AUDIO, trunk_stages=-1).init_weights()  # nothing is frozen
    vggsound_file(tmp_path / 'w.pth')
    Branch(AUDIO, checkpoint=str(tmp_path / 'w.pth')).init_weights()
    assert not [r for r in heard if r.levelno >= logging.WARNING]
    assert any('loaded 120 tensors' in r.getMessage() for r in heard)
