"""Split, then joined: the stock forward, bit for bit."""
import pytest
import torch
from mmaction.models.backbones import ResNet
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules

from mbcd_mmaction.models import Branch, build_stages, stages
from mbcd_mmaction.models.stages import (
    ResNetStages,
    WholeBackbone,
    register_stages,
)

register_all_modules()

SLOWFAST = dict(
    type='ResNet3dSlowFast', pretrained=None, resample_rate=4, speed_ratio=4,
    channel_ratio=8,
    slow_pathway=dict(
        type='resnet3d', depth=50, pretrained=None, lateral=True,
        base_channels=8, fusion_kernel=7, conv1_kernel=(1, 7, 7),
        dilations=(1, 1, 1, 1), conv1_stride_t=1, pool1_stride_t=1,
        inflate=(0, 0, 1, 1)),
    fast_pathway=dict(
        type='resnet3d', depth=50, pretrained=None, lateral=False,
        base_channels=1, conv1_kernel=(5, 7, 7), conv1_stride_t=1,
        pool1_stride_t=1))
SLOWONLY = dict(
    type='ResNet3dSlowOnly', depth=50, pretrained=None, in_channels=2,
    base_channels=8, lateral=False, conv1_kernel=(1, 7, 7), conv1_stride_t=1,
    pool1_stride_t=1, inflate=(0, 0, 1, 1))
FAMILIES = {
    'SlowFast': (SLOWFAST, (2, 3, 8, 32, 32)),
    'SlowOnly': (SLOWONLY, (2, 2, 8, 32, 32)),
    'ResNet3d with pool2': (dict(
        type='ResNet3d', depth=18, pretrained=None, base_channels=8,
        pretrained2d=False), (2, 3, 8, 32, 32)),
    'R(2+1)D': (dict(
        type='ResNet2Plus1d', depth=18, pretrained=None, base_channels=8,
        pretrained2d=False, conv1_kernel=(3, 7, 7), conv1_stride_t=1,
        pool1_stride_t=1, conv_cfg=dict(type='Conv2plus1d'),
        inflate=(1, 1, 1, 1)), (2, 3, 8, 32, 32)),
    'stock ResNet-18 audio': (dict(
        type='ResNet', depth=18, pretrained=None, in_channels=1,
        norm_eval=False), (2, 1, 64, 96)),
    'AudioResNet': (dict(type='AudioResNet', base_channels=16),
                    (2, 1, 64, 96)),
    'ResNetAudio-50': (dict(
        type='ResNetAudio', depth=50, pretrained=None, base_channels=8),
        (2, 1, 32, 48)),
}


def flat(out):
    return list(out) if isinstance(out, (tuple, list)) else [out]


@pytest.mark.parametrize('cut', [-1, 0, 2, 3])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('family', FAMILIES)
def test_split_equals_stock(family, training, cut):
    config, shape = FAMILIES[family]
    backbone = MODELS.build(config)
    backbone.train(training)  # the host's returns None
    stages = build_stages(backbone, cut)
    x = torch.randn(shape)
    expected = flat(backbone(x))
    got = flat(stages.last_stage(backbone, stages.trunk(backbone, x)))
    assert len(expected) == len(got)
    for a, b in zip(expected, got, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('family', FAMILIES)
def test_default_cut_freezes_all_but_layer4(family):
    branch = Branch(FAMILIES[family][0])
    trained = {
        n for n, p in branch.backbone.named_parameters() if p.requires_grad
    }
    assert trained
    assert all('layer4' in name for name in trained)
    layer4 = [n for n, _ in branch.backbone.named_parameters()
              if 'layer4' in n]
    assert trained == set(layer4)
    branch.train()
    assert not any(m.training for part in branch.trunk_modules
                   for m in part.modules())


@pytest.mark.parametrize('family', FAMILIES)
def test_branch_embeds(family):
    config, shape = FAMILIES[family]
    branch = Branch(config)
    z = branch(branch.trunk(torch.randn(shape)))
    assert z.shape == (2, branch.embed_dims)
    z.sum().backward()
    assert all(
        (p.grad is not None) == p.requires_grad for p in branch.parameters())


def test_slowfast_embedding_is_fast_then_slow():
    config, shape = FAMILIES['SlowFast']
    branch = Branch(config).eval()
    x = torch.randn(shape)
    slow, fast = branch.backbone(x)
    z = torch.cat([fast.mean((2, 3, 4)), slow.mean((2, 3, 4))], 1)
    torch.testing.assert_close(branch(branch.trunk(x)), branch.norm(z))


def test_a_forward_of_its_own_is_not_cut():
    """A C2D is a ResNet, but not by its forward."""
    config = dict(type='C2D', depth=50, pretrained=None, norm_eval=False)
    backbone = MODELS.build(config)
    assert type(build_stages(backbone)) is WholeBackbone
    with pytest.raises(ValueError, match='C2D cannot be cut'):
        build_stages(backbone, 3)


def test_what_is_registered_comes_first(monkeypatch):
    """Also for a child with a forward of its own."""
    monkeypatch.setattr(stages, '_REGISTERED', [])
    register_stages(ResNet, WholeBackbone)
    register_stages(ResNet, ResNetStages)
    backbone = MODELS.build(dict(type='C2D', depth=50, pretrained=None,
                                 norm_eval=False))
    assert type(build_stages(backbone)) is ResNetStages


def test_any_other_backbone_trains_whole():
    branch = Branch(dict(type='C3D', pretrained=None, out_dim=8192),
                    embed_dims=4096)
    assert isinstance(branch.stages, WholeBackbone)
    assert not branch.has_trunk
    assert all(p.requires_grad for p in branch.parameters())
    x = torch.zeros(1, 3, 16, 112, 112)
    assert branch.trunk(x) is x
    assert branch(x).shape == (1, 4096)


@pytest.mark.parametrize('family', FAMILIES)
def test_whole_backbone_on_request(family):
    config, shape = FAMILIES[family]
    whole = Branch(config, trunk_stages=-1).eval()
    assert all(p.requires_grad for p in whole.parameters())
    assert not whole.has_trunk
    cut = Branch(config).eval()
    cut.load_state_dict(whole.state_dict())
    x = torch.randn(shape)
    assert torch.equal(whole(whole.trunk(x)), cut(cut.trunk(x)))


@pytest.mark.parametrize('cut,config,message', [
    (4, SLOWONLY, r'\[0, 3\]'),
    (1, dict(type='C3D', pretrained=None), 'C3D cannot'),
    (None, dict(type='C3D', pretrained=None), 'embed_dims'),
])
def test_bad_cuts(cut, config, message):
    with pytest.raises(ValueError, match=message):
        Branch(config, trunk_stages=cut)


def test_audio_resnet_is_the_stock_resnet18():
    ours = MODELS.build(dict(type='AudioResNet'))
    ours.eval()
    stock = MODELS.build(dict(
        type='ResNet', depth=18, pretrained=None, in_channels=1))
    stock.eval()
    assert list(ours.state_dict()) == list(stock.state_dict())
    ours.load_state_dict(stock.state_dict())
    x = torch.randn(2, 1, 64, 96)
    assert torch.equal(ours(x), stock(x))


def test_batch_trunk_counts_two_passes_in_one():
    """Statistics after one pass(2) equal those after two passes."""
    torch.manual_seed(0)
    once = Branch(FAMILIES['AudioResNet'][0], trunk_norm='batch').train()
    twice = Branch(FAMILIES['AudioResNet'][0], trunk_norm='batch').train()
    twice.load_state_dict(once.state_dict())
    x = torch.randn(4, 1, 64, 96)
    a = once.trunk(x, passes=2)
    twice.trunk(x)
    b = twice.trunk(x)
    assert torch.equal(a, b)
    for (name, p), q in zip(once.named_buffers(), twice.buffers(),
                            strict=True):
        if 'num_batches' not in name:
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-6)
    assert once.backbone.conv1.bn.running_mean.abs().max() > 0
