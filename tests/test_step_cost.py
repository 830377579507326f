"""What a step of the full-size networks costs, counted on meta tensors.

Nothing is computed or allocated, so that the figures are the same anywhere.
`python benchmarks/step.py --flops` and `--memory` print them by phase.
"""
import importlib
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / 'benchmarks'))
count = importlib.import_module('step_count')
variants = importlib.import_module('step_variants')

MODALITIES = ('video', 'flow', 'audio')
ENCODERS = ('trunk', 'teacher trunk', 'teacher', 'pass 1', 'pass 2')
SIZE, SAMPLES = 224, 16


def step_of(name, meter, early=None, perturb=True):
    """Amounts by phase, and trunk passes by modality."""
    batch = variants.Batch(MODALITIES, SIZE, SAMPLES, 'meta')
    variant = variants.Variant(name, MODALITIES, 'full', 'meta', early,
                               perturb)
    if isinstance(meter, count.LiveBytes):
        variant.step(batch)  # Adam's state is there from now on
        meter.add_tensors(batch.tensors() + variant.tensors())
    phases = count.Phases(meter=meter)
    with meter:
        variant.step(batch, phases)
    return phases, variant.trunk_calls


@pytest.fixture(scope='module')
def flops():
    """Variant to its GFLOP a sample by phase, and trunk passes."""
    found = {}
    for name in ('erm', 'frozen', 'batch', 'released'):
        phases, calls = step_of(name, count.Flops())
        found[name] = {phase: amount / SAMPLES / 1e9 for phase, amount
                       in phases.amounts['meter'].items()}, calls
    return found


@pytest.fixture(scope='module')
def erm_bytes():
    return step_of('erm', count.LiveBytes())[0].total('meter')


def test_the_work_of_erm(flops):
    """Trunk 248, last stage forward 47 and backward 78 GFLOP a sample."""
    work, _ = flops['erm']
    assert work['trunk'] == pytest.approx(248, rel=0.01)
    assert work['pass 1'] == pytest.approx(47, rel=0.01)
    assert work['backward'] == pytest.approx(78, rel=0.01)


@pytest.mark.parametrize('name, ratio, passes', [
    ('erm', 1, 1), ('frozen', 1.67, 1), ('batch', 2.33, 2),
    ('released', 3, 3)])
def test_flops_and_trunk_passes(flops, name, ratio, passes):
    whole = sum(flops['erm'][0].values())
    work, calls = flops[name]
    assert sum(work.values()) / whole == pytest.approx(ratio, rel=0.01)
    assert calls == dict.fromkeys(MODALITIES, passes)


@pytest.mark.parametrize('name', ['frozen', 'batch', 'released'])
def test_the_last_stage_runs_three_times(flops, name):
    """Forward: pass 1, pass 2, teacher; backward: inner, and two outer."""
    work, erm = flops[name][0], flops['erm'][0]
    for phase in ('pass 1', 'pass 2', 'teacher'):
        assert work[phase] == pytest.approx(erm['pass 1'], rel=0.01)
    assert work['inner gradient'] == pytest.approx(erm['backward'], rel=0.01)
    assert work['backward'] == pytest.approx(2 * erm['backward'], rel=0.01)


def test_probes_cost_nothing():
    """ERM's uni-modal heads, on detached embeddings."""
    model = variants.Variant('erm', MODALITIES, 'full', 'meta').model
    weights = sum(p.numel() for p in model.unimodal_heads.parameters())
    # forward, and a backward pass to weights and input: two FLOPs each
    assert 6 * weights / 1e9 < 1e-3 * 373


@pytest.mark.parametrize('name', ['frozen', 'batch'])
def test_live_tensors_without_early_release(erm_bytes, name):
    phases, _ = step_of(name, count.LiveBytes(), False, perturb=False)
    assert 1.3 * erm_bytes < phases.total('meter') <= 1.7 * erm_bytes


@pytest.mark.parametrize('name', ['frozen', 'batch'])
def test_live_tensors_with_early_release(erm_bytes, name):
    peak = step_of(name, count.LiveBytes(), True)[0].total('meter')
    assert peak <= 1.25 * erm_bytes


def test_live_bytes_see_what_lives():
    """A saved activation counts until its graph goes, a view never."""
    weight = torch.zeros(1000, requires_grad=True)
    meter = count.LiveBytes()
    meter.add_tensors([weight, weight.view(10, 100)])
    assert meter.live == 4000
    with meter:
        cost = weight.exp().square().sum()  # exp's result is saved, twice
        assert meter.live == 2 * 4000 + 4
        assert meter.peak == 3 * 4000 + 4  # the square lived until the sum
        meter.lap()
        cost.backward()
        assert meter.peak >= 3 * 4000
        assert meter.live == 2 * 4000 + 4  # weight, its gradient, the cost
        weight.grad = None
    assert meter.live == 4000 + 4
