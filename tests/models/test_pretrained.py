"""Pretrained weights: every tensor of a published file, or an error."""
import copy
import http.server
import os
import re
import threading
import urllib.error
import urllib.request
from functools import partial
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
    SLOWFAST,
    SLOWONLY,
    new_openmmlab_file,
    randomize,
    torchvision_resnet18,
    vggsound_file,
)

from mbcd_mmaction.models import Branch, MultiModalRecognizer
from mbcd_mmaction.models.pretrained import load_backbone, match_keys

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'configs/_base_/models/slowfast-r101_slowonly-r50_resnet18.py'

register_all_modules()


def assert_loaded(branch, expected):
    """Each tensor, of the trunk and of the last stage, is the file's."""
    got = branch.backbone.state_dict()
    assert expected.keys() <= got.keys()
    assert all('num_batches' in name for name in got.keys() - expected.keys())
    for name, value in expected.items():
        assert torch.equal(got[name], value), name
    trains = {id(p): p.requires_grad for p in branch.parameters()}
    split = {True: 0, False: 0}
    for name, param in branch.backbone.named_parameters():
        assert name in expected
        split[trains[id(param)]] += 1
    assert split[True] and split[False]


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


class Served(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; counts what is asked for."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """(folder, its address, the requests), with torch's cache in tmp."""
    folder = tmp_path / 'served'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setattr(Served, 'asked', [])
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), partial(Served, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f'http://127.0.0.1:{server.server_port}', Served.asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize('which', PUBLISHED)
def test_from_a_url(served, tmp_path, which):
    """Downloaded once, by MMEngine's loader; then from the cache."""
    folder, address, asked = served
    name, config, write = PUBLISHED[which]
    expected = write(folder / name, config)
    for _ in range(2):
        branch = Branch(config, checkpoint=f'{address}/{name}')
        branch.init_weights()
        assert_loaded(branch, expected)
    assert asked == [f'/{name}']
    cached = tmp_path / 'torch/hub/checkpoints' / name
    assert cached.read_bytes() == (folder / name).read_bytes()


def test_a_url_without_the_file(served):
    _, address, asked = served
    text = refused(f'{address}/gone.pth', MODELS.build(AUDIO),
                   FileNotFoundError, 'docs/data_preparation.md')
    assert '404' in text and f'{address}/gone.pth' in text
    assert asked == ['/gone.pth']


def test_a_spoilt_download_names_the_cached_file(served, tmp_path):
    folder, address, _ = served
    (folder / 'w.pth').write_text('<html>Please log in</html>')
    text = refused(f'{address}/w.pth', MODELS.build(AUDIO), ValueError,
                   'no checkpoint, or was cut off')
    assert str(tmp_path / 'torch/hub/checkpoints/w.pth') in text


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
    text = refused(path, source.backbone, ValueError, 'lacks',
                   prefix='branches.depth')
    assert "the prefix 'branches.depth'" in text


def refused(path, backbone, error, message, **kwargs):
    """The message; nothing may have been overwritten."""
    before = {n: t.clone() for n, t in backbone.state_dict().items()}
    with pytest.raises(error, match=message) as caught:
        load_backbone(backbone, str(path), **kwargs)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    return str(caught.value)


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
    text = refused('w.pth', MODELS.build(AUDIO), ValueError,
                   'refused: expected tensors')
    assert 'posix.mkdir' in text or 'nt.mkdir' in text
    assert not os.path.exists('made-by-a-checkpoint')
    assert 'weights_only' not in text  # torch's advice is to trust the file


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
