"""The whole step against the released one, on the real kinds of backbones.

benchmarks/step_released.py runs whole networks by the host's stock forward
and calls nothing of the package. Both draw from one generator in one order:
DSU and the head's dropout in pass 1, masks, the fused head's dropout.
"""
import importlib
import inspect
import sys
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from toy import make_samples

from mbcd_mmaction.models import (
    Distiller,
    LookAhead,
    MultiModalRecognizer,
    WeightAverageTeacher,
)

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / 'benchmarks'))
ReleasedStep = importlib.import_module('step_released').ReleasedStep

SHAPES = dict(video=(3, 16, 32, 32), flow=(2, 4, 32, 32),
              audio=(1, 40, 48))
SETTING = dict(inner_lr=0.05, ema_decay=0.8)
DISTILL_WEIGHT = 0.7
# perturbs most calls, and leaves some
PERTURB_PROB = 0.75
# Where pass 1 can be released early, both ways.
EARLY = [dict(release_early=early) for early in (True, False)] if (
    'release_early' in inspect.signature(MultiModalRecognizer).parameters
) else [{}]
STEPS = 3
TOL = dict(rtol=0, atol=1e-12)


def adam(params):
    return torch.optim.Adam(params, lr=1e-3, weight_decay=1e-4)


def make_model(trunk_norm, **options):
    """The mini networks, narrower still, with a trunk."""
    config = Config.fromfile(ROOT / 'configs/_base_/models/mini.py').model
    config.pop('data_preprocessor')
    for branch in config.branches.values():
        del branch.trunk_stages
    video = config.branches.video.backbone
    video.slow_pathway.base_channels = 8
    video.fast_pathway.base_channels = 2
    config.branches.flow.backbone.base_channels = 8
    config.branches.audio.backbone.base_channels = 4
    config.update(
        trunk_norm=trunk_norm, num_classes=5,
        unimodal_head=dict(hidden_channels=16, dropout_ratio=0.5),
        fusion_head=dict(hidden_channels=16, dropout_ratio=0.5),
        modality_dropout=dict(type='AdaptiveModalityDropout'),
        feature_perturbation=dict(type='DSU', prob=PERTURB_PROB),
        **options)
    torch.manual_seed(0)
    model = MODELS.build(config).double()
    with torch.no_grad():
        for head in model.unimodal_heads.values():
            head.layers[3].weight.mul_(8)  # sure, so that masks are drawn
        for tensor in model.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.2 * torch.rand_like(tensor))  # no ones, zeros
    return model.train()


def make_batch(seed, num_samples=4):
    generator = torch.Generator().manual_seed(seed)
    inputs = {m: torch.randn(num_samples, *shape, generator=generator,
                             dtype=torch.float64)
              for m, shape in SHAPES.items()}
    return inputs, torch.randint(5, (num_samples, ), generator=generator)


class OurStep:
    """The recognizer with both slots filled, as the hooks fill them."""

    def __init__(self, model):
        self.model = model
        self.teacher = WeightAverageTeacher(model, SETTING['ema_decay'])
        model.lookahead = LookAhead(SETTING['inner_lr'])
        model.distiller = Distiller(self.teacher.module.fused_prob,
                                    DISTILL_WEIGHT)
        self.optimizer = adam([p for p in model.parameters()
                               if p.requires_grad])

    def __call__(self, inputs, labels):
        losses = self.model({m: x[:, None] for m, x in inputs.items()},
                            make_samples(labels), mode='loss')
        total, logged = self.model.parse_losses(losses)
        total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.teacher.update_parameters(self.model)
        return logged


def numbers_of(net):
    """All but the counters of batches, which BatchNorm does not use."""
    return {n: t.detach().clone() for n, t in net.state_dict().items()
            if 'num_batches_tracked' not in n}


def run(trunk_norm, **options):
    """Both ways over some steps, compared after each."""
    model = make_model(trunk_norm, **options)
    theirs = ReleasedStep(
        model, adam, **SETTING, distill_weight=DISTILL_WEIGHT,
        perturb_prob=PERTURB_PROB, trunk_in_eval=trunk_norm == 'frozen')
    ours, dropped = OurStep(model), 0
    start = numbers_of(model)
    for step in range(STEPS):
        batch = make_batch(step)
        torch.manual_seed(100 + step)
        logged = ours(*batch)
        drawn = torch.random.get_rng_state()
        torch.manual_seed(100 + step)
        expected = theirs(*batch)
        assert torch.equal(torch.random.get_rng_state(), drawn)
        dropped += sum(float(v) > 0.05 for k, v in logged.items()
                       if k.startswith('drop_prob'))
        for name, value in expected.items():
            torch.testing.assert_close(logged[name].detach(), value, **TOL)
        for own, other in ((model, theirs.student),
                           (ours.teacher.module, theirs.teacher)):
            own, other = numbers_of(own), numbers_of(other)
            assert own.keys() == other.keys()
            for name, value in other.items():
                torch.testing.assert_close(own[name], value, **TOL,
                                           msg=lambda m, n=name: f'{n}: {m}')
    assert dropped
    return start, numbers_of(model), numbers_of(ours.teacher.module)


@pytest.fixture(scope='module', params=EARLY, ids=str)
def ends(request):
    """Start, student and teacher after the steps, by trunk_norm."""
    return {mode: run(mode, **request.param) for mode in ('batch', 'frozen')}


@pytest.mark.parametrize('trunk_norm', ['batch', 'frozen'])
def test_equals_the_released_step(ends, trunk_norm):
    """'frozen' is the released step with its trunk in eval mode."""
    start, student, teacher = ends[trunk_norm]
    moved = {n for n in start
             if (student[n] - start[n]).abs().max() > 1e-5}
    learns = {n for n in start if 'layer4' in n or '.norm.' in n
              or 'head' in n}
    drifts = {n for n in start if 'running' in n} - learns
    assert len(learns) > 50 and len(drifts) > 50
    assert moved == learns | (drifts if trunk_norm == 'batch' else set())
    lags = {n for n in moved
            if (teacher[n] - student[n]).abs().max() > 1e-6}
    assert lags == moved


def test_the_modes_differ(ends):
    """So that the comparison above tells them apart."""
    (a, student, _), (b, other, _) = ends['batch'], ends['frozen']
    assert all(torch.equal(a[n], b[n]) for n in a)
    learnt = [n for n in a if 'layer4' in n and 'conv.weight' in n]
    assert learnt and all(
        (student[n] - other[n]).abs().max() > 1e-5 for n in learnt)
