"""The GPU's checks where there is a GPU, and that they can fail.

On a CPU those that mean something there run within the script, in
tests/tools/test_gpu_benchmark.py.
"""
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from mbcd_mmaction.models import slots
from mbcd_mmaction.models.branch import Branch

HERE = Path(__file__).resolve().parents[2] / 'benchmarks/gpu'
sys.path.insert(0, str(HERE))
try:
    import check_half
    import check_processes
    import checks
    import tracing
    from common import Setting
finally:
    sys.path.remove(str(HERE))

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')


@pytest.fixture
def on_cpu(tmp_path):
    return Setting(torch.device('cpu'), True, tmp_path, batch=4, rounds=1)


@needs_gpu
@pytest.mark.parametrize('name', checks.CHECKS)
def test_on_a_gpu(name, tmp_path, monkeypatch):
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    setting = Setting(torch.device('cuda'), True, tmp_path, batch=4,
                      rounds=3)
    found = checks.one(setting, checks.CHECKS[name])
    small = name == 'share of the average'
    assert found['status'] == ('not run' if small else 'pass'), found


def test_an_overflow_that_reaches_the_weights_is_seen(on_cpu, monkeypatch):
    assert check_half.overflow(on_cpu)[0]
    monkeypatch.setattr(slots, '_zero_if_overflowed', lambda grads: grads)
    passed, evidence = check_half.overflow(on_cpu)
    assert not passed and not evidence['student_finite']


def test_a_scale_that_stays_in_the_gradient_is_seen(on_cpu, monkeypatch):
    step = slots.fast_weights
    seen = []

    def scaled(params, grads, inner_lr):
        # the first training is the one in float32
        seen.append(1)
        factor = 1 if len(seen) <= 3 else check_half.SCALE
        return step(params, {n: factor * g for n, g in grads.items()},
                    inner_lr)

    monkeypatch.setattr(slots, 'fast_weights', scaled)
    passed, evidence = check_half.inner_gradients_in_half(on_cpu)
    assert not passed
    assert min(evidence['relative_error'].values()) > 1000


def test_a_reduction_for_each_tensor_is_seen(on_cpu, monkeypatch):
    whole = check_processes.average_across_ranks
    monkeypatch.setattr(
        check_processes, 'average_across_ranks',
        lambda grads: {n: whole({n: g})[n] for n, g in grads.items()})
    passed, evidence = check_processes.flat_reduction(on_cpu)
    assert not passed and evidence['reductions_if_two'] > 10


def test_a_trunk_that_thaws_is_seen(on_cpu, monkeypatch):
    def thawing(branch, mode=True):
        return torch.nn.Module.train(branch, mode)

    convert = check_processes.sync_bn_model

    def converted(model):
        model = convert(model)
        monkeypatch.setattr(Branch, 'train', thawing)
        return model

    monkeypatch.setattr(check_processes, 'sync_bn_model', converted)
    passed, evidence = check_processes.sync_bn(on_cpu)
    assert not passed
    assert evidence['of_these_training'] == evidence['sync_bn_in_trunk'] > 0


def test_a_check_that_breaks_is_recorded(on_cpu, monkeypatch):
    def breaks(setting):
        """It breaks."""
        raise RuntimeError('as it must')

    def fails(setting):
        """It fails."""
        return False, dict(found=1)

    monkeypatch.setattr(checks, 'CHECKS', dict(breaks=breaks, fails=fails))
    found = checks.run(on_cpu)
    assert found['breaks'].pop('traceback').startswith('Traceback')
    assert found == dict(
        breaks=dict(status='error', claim='It breaks.',
                    reason="RuntimeError('as it must')"),
        fails=dict(status='fail', claim='It fails.',
                   evidence=dict(found=1)))


def test_checks_end_in_time(on_cpu):
    on_cpu.deadline = 0
    found = checks.run(on_cpu)
    assert {c['reason'] for c in found.values()} == {'no time left'}
    assert {c['status'] for c in found.values()} == {'not run'}


def event(name, start, end, device=DeviceType.CUDA, annotation=False):
    return SimpleNamespace(
        name=name, device_type=device, is_user_annotation=annotation,
        time_range=SimpleNamespace(start=start, end=end))


def test_busy_is_the_union_of_kernels():
    """Two streams that overlap, a gap, and what is no kernel."""
    events = [
        event('gemm', 0, 10), event('copy', 5, 15), event('inside', 6, 8),
        event('relu', 20, 30), event('phase: trunk', 0, 100),
        event('mine', 0, 100, annotation=True),
        event('aten::add', 0, 100, device=DeviceType.CPU)]
    assert tracing.count_kernels(events) == 4
    assert tracing.busy_seconds(events) == pytest.approx(25e-6)
    assert tracing.covered([]) == 0
