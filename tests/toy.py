"""The oracle's toy network, built from the package's own components."""
import oracle
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from torch import nn

from mbcd_mmaction.models import (
    AdaptiveModalityDropout,
    MultiModalRecognizer,
)
from mbcd_mmaction.models.stages import ResNetStages, register_stages


@MODELS.register_module(force=True)
class ToyBackbone(nn.Module):
    """tanh(Linear) as frozen stem, tanh(Linear) as the only stage."""

    def __init__(self, in_dims: int, trunk_dim: int = 4, dim: int = 4):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Linear(in_dims, trunk_dim, bias=False), nn.Tanh())
        self.layer1 = nn.Sequential(nn.Linear(trunk_dim, dim), nn.Tanh())
        self.res_layers = ['layer1']
        self.feat_dim = dim
        self.trunk_calls = 0
        self.conv1.register_forward_hook(self._count)

    def _count(self, *_):
        self.trunk_calls += 1

    def forward(self, x):
        return self.layer1(self.conv1(x))


register_stages(ToyBackbone, ResNetStages)

NAMES = {
    'trunk_weight': 'branches.{}.backbone.conv1.0.weight',
    'stage_weight': 'branches.{}.backbone.layer1.0.weight',
    'stage_bias': 'branches.{}.backbone.layer1.0.bias',
    'ln_weight': 'branches.{}.norm.weight',
    'ln_bias': 'branches.{}.norm.bias',
    'w1': 'unimodal_heads.{}.layers.0.weight',
    'b1': 'unimodal_heads.{}.layers.0.bias',
    'w2': 'unimodal_heads.{}.layers.3.weight',
    'b2': 'unimodal_heads.{}.layers.3.bias',
}


def our_name(oracle_name: str) -> str:
    """'video.w1' -> 'unimodal_heads.video.layers.0.weight'."""
    owner, short = oracle_name.split('.')
    if owner == 'fusion':
        return NAMES[short].replace('unimodal_heads.{}', 'fusion_head')
    return NAMES[short].format(owner)


def make_recognizer(input_dims, params=None, **kwargs):
    """A recognizer that is the oracle's toy network, in float64."""
    head = dict(hidden_channels=5, dropout_ratio=0.0)
    settings = dict(
        branches={
            m: dict(backbone=dict(type='ToyBackbone', in_dims=size))
            for m, size in input_dims.items()
        },
        num_classes=3,
        unimodal_head=head,
        fusion_head=head)
    settings.update(kwargs)
    model = MultiModalRecognizer(**settings).double()
    params = params or oracle.toy_params(input_dims)
    missing, unexpected = model.load_state_dict(
        {our_name(n): p for n, p in params.items()}, strict=False)
    assert not missing and not unexpected
    return model


def make_samples(labels):
    """One data sample a label."""
    return [ActionDataSample().set_gt_label(int(y)) for y in labels]


def make_batch(input_dims, seed=0, num_samples=4):
    """(inputs with a view axis, samples) and the oracle's (x, y)."""
    inputs, labels = oracle.toy_batch(input_dims, num_samples, seed=seed)
    ours = {m: x[:, None] for m, x in inputs.items()}
    return (ours, make_samples(labels)), (inputs, labels)


def total_of(losses):
    """The host's sum."""
    return sum(v for k, v in losses.items() if 'loss' in k)


def grads_of(model):
    return {n: p.grad for n, p in model.named_parameters()
            if p.requires_grad}


class FixedMask(AdaptiveModalityDropout):
    """The adaptive dropout, probabilities and all, with masks given."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def _draw(self, probs, num_samples):
        return self.mask
