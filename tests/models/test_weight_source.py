"""However a config asks for weights: they are loaded, or it is an error."""
import copy
import logging

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, PretrainedInit
from published_files import (
    AUDIO,
    SLOWFAST,
    SLOWONLY,
    new_openmmlab_file,
    randomize,
    vggsound_file,
)
from toy import make_recognizer

from mbcd_mmaction.models import Branch, MultiModalRecognizer

register_all_modules()

# Shallow: how often a stage repeats its blocks does not matter here.
SMALL_SLOWFAST = copy.deepcopy(SLOWFAST)
for pathway in ('slow_pathway', 'fast_pathway'):
    SMALL_SLOWFAST[pathway]['depth'] = 18
BACKBONES = dict(
    SlowFast=SMALL_SLOWFAST,
    SlowOnly={**SLOWONLY, 'depth': 18},
    ResNet3d=dict(type='ResNet3d', depth=18, pretrained=None,
                  base_channels=8),
    AudioResNet=AUDIO,
    ResNetAudio=dict(type='ResNetAudio', depth=50, pretrained=None,
                     base_channels=8),
    ResNet=dict(type='ResNet', depth=18, pretrained=None, in_channels=1))


def by_init_cfg(path):
    return dict(type='Pretrained', checkpoint=path, prefix='backbone.')


# How it may be spelled: (arguments of the branch, added to the backbone).
SPELLINGS = {
    'checkpoint': lambda path: (dict(checkpoint=path), {}),
    'init_cfg of the branch': lambda path: (
        dict(init_cfg=by_init_cfg(path)), {}),
    'init_cfg of the branch, among others': lambda path: (
        dict(init_cfg=[dict(type='Normal', layer='LayerNorm', std=.1),
                       by_init_cfg(path)]), {}),
    'without a prefix': lambda path: (
        {}, dict(init_cfg=dict(type='Pretrained', checkpoint=path))),
    'with the class': lambda path: (
        {}, dict(init_cfg=dict(type=PretrainedInit, checkpoint=path))),
    'init_cfg of the backbone': lambda path: (
        {}, dict(init_cfg=by_init_cfg(path))),
    'in a list': lambda path: ({}, dict(init_cfg=[by_init_cfg(path)])),
    'pretrained': lambda path: ({}, dict(pretrained=path)),
    'pretrained, not 2D': lambda path: (
        {}, dict(pretrained=path, pretrained2d=False)),
}
# What a constructor does not take is an error already.
UNKNOWN = {
    'AudioResNet': ('pretrained', 'pretrained, not 2D'),
    'SlowFast': ('pretrained, not 2D', ),
    'ResNet': ('pretrained, not 2D', ),
    'ResNetAudio': ('pretrained, not 2D', 'without a prefix',
                    'with the class', 'init_cfg of the backbone',
                    'in a list'),
}
CASES = [(which, how) for which in BACKBONES for how in SPELLINGS
         if how not in UNKNOWN.get(which, ())]


def ask(config, how, path):
    """Arguments of a branch that ask for the file in that way."""
    own, inner = SPELLINGS[how](str(path))
    return dict(backbone={**copy.deepcopy(config), **inner}, **own)


@pytest.mark.parametrize('which,how', [
    (which, how) for which, hows in UNKNOWN.items() for how in hows])
def test_what_the_host_does_not_take(which, how):
    with pytest.raises(TypeError, match='pretrained|init_cfg'):
        Branch(**ask(BACKBONES[which], how, 'w.pth'))


@pytest.mark.parametrize('which,how', CASES)
def test_every_spelling_loads(tmp_path, which, how):
    config = BACKBONES[which]
    expected = new_openmmlab_file(tmp_path / 'w.pth', config)
    branch = Branch(**ask(config, how, tmp_path / 'w.pth'))
    # nothing is left for the host, which would load it without a check
    assert 'Pretrained' not in str(branch.backbone.init_cfg)
    branch.init_weights()
    for name, value in branch.backbone.state_dict().items():
        assert torch.equal(value, expected[name]), name
    moved = branch.norm.weight.std() > 0
    assert moved == (how == 'init_cfg of the branch, among others')


@pytest.mark.parametrize('which,how', CASES)
def test_every_spelling_refuses_what_does_not_fit(tmp_path, which, how):
    """The last stage is not in the file."""
    config = BACKBONES[which]
    state = MODELS.build(config).state_dict()
    torch.save({f'backbone.{n}': t for n, t in state.items()
                if 'layer4' not in n}, tmp_path / 'w.pth')
    branch = Branch(**ask(config, how, tmp_path / 'w.pth'))
    with pytest.raises(ValueError, match=r'layer4 \(trained\)'):
        branch.init_weights()


@pytest.mark.parametrize('how', SPELLINGS)
def test_every_spelling_says_what_is_absent(how):
    branch = Branch(**ask(BACKBONES['SlowOnly'], how, 'nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='docs/data_preparation.md'):
        branch.init_weights()


def test_the_host_ignores_it(tmp_path):
    """Why it is taken from the backbone: init_cfg does nothing there."""
    expected = new_openmmlab_file(tmp_path / 'w.pth', SLOWONLY)
    stock = MODELS.build({**SLOWONLY,
                          'init_cfg': by_init_cfg(str(tmp_path / 'w.pth'))})
    stock.init_weights()
    same = [n for n, t in stock.state_dict().items()
            if torch.equal(t, expected[n])]
    assert not same


@pytest.mark.parametrize('added', [
    dict(pretrained='w.pth'), dict(init_cfg=by_init_cfg('w.pth'))])
def test_one_pathway_alone(added):
    config = copy.deepcopy(SLOWFAST)
    config['slow_pathway'].update(added)
    with pytest.raises(ValueError, match='slow_path of ResNet3dSlowFast asks '
                                         'for weights of its own'):
        Branch(config)


@pytest.mark.parametrize('how', [h for h in SPELLINGS if h != 'checkpoint'])
def test_two_files(how):
    arguments = {**ask(SLOWONLY, how, 'b.pth'), 'checkpoint': 'a.pth'}
    with pytest.raises(ValueError, match="checkpoint='a.pth' and .*'b.pth'"):
        Branch(**arguments)


def test_the_recognizer_names_no_file():
    with pytest.raises(ValueError, match='load_from'):
        make_recognizer({'video': 6, 'audio': 5}, init_cfg=dict(
            type='Pretrained', checkpoint='w.pth'))


class LoadsItself(BaseModule):
    """A backbone outside the families that can be cut."""

    feat_dim = 3

    def __init__(self, pretrained=None):
        super().__init__()
        self.pretrained = pretrained
        self.layer = torch.nn.Linear(2, 3)

    def init_weights(self):
        self.layer.load_state_dict(torch.load(self.pretrained))


def test_another_backbones_own_loading_is_left_to_it(tmp_path, heard):
    expected = randomize(LoadsItself().layer.state_dict())
    torch.save(expected, tmp_path / 'w.pth')
    branch = Branch(
        dict(type=LoadsItself, pretrained=str(tmp_path / 'w.pth')))
    branch.init_weights()
    assert torch.equal(branch.backbone.layer.weight, expected['weight'])
    text, = loud(heard)
    assert 'LoadsItself loads' in text and 'not checked' in text


# ---- a stem of other channels ------------------------------------------


def rgb_file(path, config):
    """Weights of the same network with three input channels."""
    rgb = copy.deepcopy(config)
    rgb['in_channels'] = 3
    return new_openmmlab_file(path, rgb)


@pytest.mark.parametrize('config,channels', [(SLOWONLY, 2), (AUDIO, 1)])
def test_rgb_weights_for_another_modality(tmp_path, config, channels):
    rgb_file(tmp_path / 'w.pth', config)
    branch = Branch(config, checkpoint=str(tmp_path / 'w.pth'))
    before = {n: t.clone() for n, t in branch.state_dict().items()}
    branch.backbone.init_weights = lambda: None
    with pytest.raises(ValueError, match='adapt_stem=True') as caught:
        branch.init_weights()
    kernel = tuple(branch.backbone.conv1.conv.weight.shape)
    assert kernel[1] == channels
    text = str(caught.value)
    assert f'model {kernel}' in text
    assert f'file {(kernel[0], 3, *kernel[2:])}' in text
    for name, value in branch.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize('config', [SLOWONLY, AUDIO])
@pytest.mark.parametrize('trunk_stages', [None, -1])
def test_adapted_stem(tmp_path, heard, config, trunk_stages):
    published = rgb_file(tmp_path / 'w.pth', config)
    branch = Branch(config, checkpoint=str(tmp_path / 'w.pth'),
                    adapt_stem=True, trunk_stages=trunk_stages)
    branch.init_weights()
    got = branch.backbone.state_dict()
    stem = 'conv1.conv.weight'
    r, g, b = published[stem].unbind(1)
    for channel in got[stem].unbind(1):
        torch.testing.assert_close(channel, (r + g + b) / 3)
    assert got[stem].is_contiguous()
    for name in got.keys() - {stem}:
        assert torch.equal(got[name], published[name]), name
    text, = (r.getMessage() for r in heard if 'mean of' in r.getMessage())
    assert stem in text
    # a frozen stem never learns the new input
    assert ('frozen' in text) == (trunk_stages is None) == bool(loud(heard))


def test_adapt_stem_of_both_pathways(tmp_path):
    """SlowFast on flow, from RGB."""
    config = copy.deepcopy(SLOWFAST)
    for pathway in ('slow_pathway', 'fast_pathway'):
        config[pathway]['in_channels'] = 2
    published = new_openmmlab_file(tmp_path / 'w.pth', SLOWFAST)
    branch = Branch(config, checkpoint=str(tmp_path / 'w.pth'),
                    adapt_stem=True)
    branch.init_weights()
    for path in ('slow_path', 'fast_path'):
        name = f'{path}.conv1.conv.weight'
        got = branch.backbone.state_dict()[name]
        assert got.shape[1] == 2
        torch.testing.assert_close(got[:, 1], published[name].mean(1))


def test_adapt_stem_changes_nothing_that_fits(tmp_path, heard):
    expected = new_openmmlab_file(tmp_path / 'w.pth', SLOWONLY)
    branch = Branch(SLOWONLY, checkpoint=str(tmp_path / 'w.pth'),
                    adapt_stem=True)
    branch.init_weights()
    for name, value in branch.backbone.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert not loud(heard)


def test_adapt_stem_is_for_stems(tmp_path):
    """A last stage of another width stays an error."""
    state = randomize(MODELS.build(AUDIO).state_dict())
    name = 'layer4.1.conv2.conv.weight'
    state[name] = state[name].repeat(1, 2, 1, 1)
    torch.save(state, tmp_path / 'w.pth')
    branch = Branch(AUDIO, checkpoint=str(tmp_path / 'w.pth'),
                    adapt_stem=True)
    with pytest.raises(ValueError, match=name) as caught:
        branch.init_weights()
    assert 'adapt_stem=True' not in str(caught.value)


# ---- random weights ----------------------------------------------------


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


def loud(records):
    return [r.getMessage() for r in records if r.levelno >= logging.WARNING]


def test_random_frozen_trunks_are_loud(heard):
    """One warning a branch, with the modality's name."""
    model = MultiModalRecognizer(
        branches=dict(flow=dict(backbone=SLOWONLY),
                      audio=dict(backbone=AUDIO, checkpoint=None)),
        num_classes=3)
    model.init_weights()
    flow, audio = loud(heard)
    for text, name in ((flow, "ResNet3dSlowOnly (branch 'flow')"),
                       (audio, "AudioResNet (branch 'audio')")):
        assert text.startswith('RANDOM WEIGHTS in the frozen trunk')
        assert name in text


def test_what_is_not_loud(tmp_path, heard):
    Branch(AUDIO, trunk_stages=-1).init_weights()  # nothing is frozen
    text, = (r.getMessage() for r in heard if 'random' in r.getMessage())
    assert 'all of which trains' in text
    vggsound_file(tmp_path / 'w.pth')
    Branch(AUDIO, checkpoint=str(tmp_path / 'w.pth')).init_weights()
    assert not loud(heard)
    assert any('loaded 120 tensors' in r.getMessage() for r in heard)
