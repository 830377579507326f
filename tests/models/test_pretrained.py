"""Pretrained weights: files as they are published, shapes made small."""
import copy
import functools
import http.server
import logging
import threading
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


PRETRAINED = dict(type='Pretrained', prefix='backbone.')


@pytest.mark.parametrize('where', ['backbone', 'branch', 'list'])
@pytest.mark.parametrize('family', FILES)
def test_pretrained_init_cfg_is_not_ignored(tmp_path, family, where):
    """The host's backbones override init_weights and never look at it."""
    config, write = FILES[family]
    expected = write(tmp_path / 'w.pth')
    init = dict(PRETRAINED, checkpoint=str(tmp_path / 'w.pth'))
    if where == 'backbone':
        branch = Branch({**config, 'init_cfg': init})
    elif where == 'list':
        branch = Branch({**config, 'init_cfg': [
            dict(type='Kaiming', layer='Conv2d'), init]})
    else:
        branch = Branch(config, init_cfg=init)
    branch.init_weights()
    got = branch.backbone.state_dict()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


def test_the_host_ignores_it(tmp_path):
    """Else the test above would show nothing."""
    expected = openmmlab_file(tmp_path / 'w.pth', SLOWONLY)
    backbone = MODELS.build({**SLOWONLY, 'init_cfg': dict(
        PRETRAINED, checkpoint=str(tmp_path / 'w.pth'))})
    backbone.init_weights()
    got = backbone.state_dict()['conv1.conv.weight']
    assert not torch.equal(got, expected['conv1.conv.weight'])


def test_two_sources_are_refused():
    init = dict(type='Pretrained', checkpoint='a.pth')
    with pytest.raises(ValueError, match=r"one source.*'a.pth', 'b.pth'"):
        Branch({**AUDIO, 'init_cfg': init}, checkpoint='b.pth')


@pytest.mark.parametrize('config,match', [
    ({**SLOWONLY, 'pretrained': 'a.pth'}, "^pretrained='a.pth'.*checkpoint"),
    ({**SLOWFAST, 'slow_pathway': {**SLOWFAST['slow_pathway'],
                                   'pretrained': 'b.pth'}},
     "^slow_pathway.pretrained='b.pth'.*slow_pathway.pretrained=None")])
def test_the_hosts_own_pretrained_is_refused(config, match):
    with pytest.raises(ValueError, match=match):
        Branch(config)


@pytest.mark.parametrize('channels', [1, 2])
def test_a_stem_for_other_channels(tmp_path, channels):
    """Averaged over the file's three and repeated; all else as it is."""
    config = {**SLOWONLY, 'in_channels': channels}
    file = openmmlab_file(tmp_path / 'w.pth', {**SLOWONLY, 'in_channels': 3})
    branch = Branch(config, checkpoint=str(tmp_path / 'w.pth'),
                    adapt_stem=True)
    branch.init_weights()
    got = branch.backbone.state_dict()
    stem = file.pop('conv1.conv.weight')
    for channel in range(channels):
        torch.testing.assert_close(
            got['conv1.conv.weight'][:, channel],
            (stem[:, 0] + stem[:, 1] + stem[:, 2]) / 3)
    for name, value in file.items():
        assert torch.equal(got[name], value), name
    # A constant picture is answered alike, up to the number of channels.
    ones = torch.ones(1, 3, 1, 7, 7)
    torch.testing.assert_close(
        (got['conv1.conv.weight'] * ones[:, :channels]).sum() * 3,
        (stem * ones).sum() * channels, rtol=1e-4, atol=1e-4)


def test_a_stem_is_not_adapted_unasked(tmp_path):
    openmmlab_file(tmp_path / 'w.pth', {**SLOWONLY, 'in_channels': 3})
    refused(tmp_path / 'w.pth', MODELS.build(SLOWONLY), ValueError,
            'adapt_stem=True')


def test_only_the_stem_is_adapted(tmp_path):
    wide = {**SLOWONLY, 'in_channels': 3, 'base_channels': 16}
    openmmlab_file(tmp_path / 'w.pth', wide)
    with pytest.raises(ValueError, match='another shape'):
        load_backbone(MODELS.build(SLOWONLY), str(tmp_path / 'w.pth'),
                      adapt_stem=True)


def test_missing_tensors_are_listed_by_stage(tmp_path):
    """What the released baselines lose silently: the whole last stage."""
    backbone = MODELS.build(AUDIO)
    state = {n: t for n, t in randomize(backbone.state_dict()).items()
             if not n.startswith('layer4') and n != 'conv1.bn.bias'}
    torch.save(dict(state_dict=state), tmp_path / 'w.pth')
    text = refused(tmp_path / 'w.pth', backbone, ValueError,
                   'lacks 26 of 100 tensors')
    assert "1 of conv1 ('conv1.bn.bias')" in text
    assert "25 of layer4 ('layer4.0.conv1.conv.weight'" in text


@pytest.fixture
def server(tmp_path):
    """A web server of this machine that counts what it is asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    (tmp_path / 'web').mkdir()
    served = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0),
        functools.partial(Handler, directory=str(tmp_path / 'web')))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{served.server_port}', tmp_path / 'web', asked
    served.shutdown()
    served.server_close()


def test_a_url_is_downloaded_once(server, tmp_path, monkeypatch):
    """By MMEngine's loader, into its cache."""
    url, folder, asked = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    expected = openmmlab_file(folder / 'slowonly.pth', SLOWONLY)
    for _ in range(2):
        branch = Branch(SLOWONLY, checkpoint=f'{url}/slowonly.pth')
        branch.init_weights()
        got = branch.backbone.state_dict()
        assert all(torch.equal(got[n], t) for n, t in expected.items())
    assert asked == ['/slowonly.pth']
    refused(f'{url}/none.pth', MODELS.build(SLOWONLY), FileNotFoundError,
            'none.pth')


class Untrusted:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return print, ('code of the file runs', )


def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, capsys):
    backbone = MODELS.build(AUDIO)
    torch.save(dict(state_dict=backbone.state_dict(), meta=Untrusted()),
               tmp_path / 'w.pth')
    with pytest.raises(ValueError, match='w.pth.*print'):
        load_backbone(backbone, str(tmp_path / 'w.pth'))
    assert 'code of the file' not in capsys.readouterr().out
