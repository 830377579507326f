"""A recognizer of convolutions and BatchNorm, in float64, trained by hand."""
import torch
from mmaction.registry import MODELS
from torch import nn
from toy import make_samples, total_of

from mbcd_mmaction.models import MultiModalRecognizer
from mbcd_mmaction.models.stages import ResNetStages, register_stages

CHANNELS = dict(video=3, audio=2)
RATE = 0.1  # of BatchNorm's running statistics


@MODELS.register_module(force=True)
class NormBackbone(nn.Module):
    """Two blocks of convolution, BatchNorm and tanh; the first is trunk."""

    def __init__(self, channels, width=4):
        super().__init__()

        def block(inner):
            return nn.Sequential(
                nn.Conv1d(inner, width, 3, padding=1, bias=False),
                nn.BatchNorm1d(width), nn.Tanh())

        self.conv1 = block(channels)
        self.layer1 = block(width)
        self.res_layers = ['layer1']
        self.feat_dim = width


register_stages(NormBackbone, ResNetStages)


def make_model(dropout_ratio=0.0, branches=None, **settings):
    """The recognizer in training mode.

    ``dropout_ratio`` is the heads', ``branches`` holds more arguments of
    some modalities' branches, ``settings`` the recognizer's own.
    """
    torch.manual_seed(0)
    head = dict(hidden_channels=5, dropout_ratio=dropout_ratio)
    model = MultiModalRecognizer(
        branches={
            m: dict(backbone=dict(type='NormBackbone', channels=c),
                    **(branches or {}).get(m, {}))
            for m, c in CHANNELS.items()
        },
        num_classes=3, unimodal_head=head, fusion_head=head,
        **settings).double()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():  # no ones, no zeros
            tensor.add_(0.3 * torch.rand_like(tensor))
    return model.train()


def make_batch(seed, num_samples=6, length=5):
    """Inputs without the view axis, labels, and a mask that drops video."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {
        m: torch.randn(num_samples, c, length, generator=generator,
                       dtype=torch.float64)
        for m, c in CHANNELS.items()
    }
    labels = torch.randint(0, 3, (num_samples, ), generator=generator)
    keep = torch.randint(0, 2, (num_samples, 1), generator=generator)
    mask = dict(video=keep.double(), audio=torch.ones_like(keep).double())
    return inputs, labels, mask


def losses_of(model, seed=0):
    """The losses of one step; chance in it follows the seed."""
    inputs, labels, _ = make_batch(seed)
    torch.manual_seed(seed)
    return model({m: x[:, None] for m, x in inputs.items()},
                 make_samples(labels), mode='loss')


def train(model, teacher, optimizer, steps=3):
    """What is logged in each step; the teacher averages after it."""
    logged = []
    for seed in range(steps):
        losses = losses_of(model, seed)
        optimizer.zero_grad()
        total_of(losses).backward()
        optimizer.step()
        teacher.update_parameters(model)
        logged.append({n: v.item() for n, v in losses.items()})
    return logged
