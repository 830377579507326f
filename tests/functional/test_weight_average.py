"""Eq. 7: the averaged weights."""
import oracle
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mbcd_mmaction.functional.weight_average import (
    effective_decay,
    weight_average_,
)


def tensors(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in [(3, 4), (5, ), (), (2, 1, 3)]
    ]


def test_average_by_hand():
    averaged = [torch.zeros(2), torch.tensor([[10.0]])]
    source = [torch.ones(2), torch.tensor([[20.0]])]
    assert weight_average_(averaged, source, 0.999) is None
    assert averaged[0].tolist() == pytest.approx([.001, .001], rel=1e-5)
    assert averaged[1].item() == pytest.approx(10.01)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('ema_decay', [0.0, 0.3, 0.5, 0.9, 0.999])
def test_average_equals_loops_over_several_steps(seed, ema_decay):
    averaged = tensors(seed)
    expected = {str(i): t.clone() for i, t in enumerate(averaged)}
    for t in range(5):
        source = tensors(100 + 10 * seed + t)
        weight_average_(averaged, source, ema_decay)
        expected = oracle.weight_average(
            expected, {str(i): s for i, s in enumerate(source)}, ema_decay)
    for i, value in enumerate(averaged):
        torch.testing.assert_close(value, expected[str(i)], rtol=1e-12,
                                   atol=1e-14)


def test_average_equals_swa_utils():
    model = torch.nn.Linear(3, 2).double()
    other = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    other.update_parameters(model)  # its first call only copies
    ours = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    for _ in range(6):
        optimizer.zero_grad()
        model(torch.ones(4, 3).double()).pow(2).sum().backward()
        optimizer.step()
        other.update_parameters(model)
        weight_average_(ours, list(model.parameters()), 0.9)
    for mine, theirs in zip(ours, other.module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.detach(), rtol=1e-12,
                                   atol=1e-14)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_decay_zero_copies_bit_for_bit(dtype):
    averaged, source = tensors(0, dtype), tensors(1, dtype)
    weight_average_(averaged, source, 0.0)
    for mine, theirs in zip(averaged, source, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize('ema_decay', [0.0, 0.5, 0.9, 0.999])
def test_equal_weights_are_a_fixed_point(ema_decay):
    averaged, source = tensors(3), tensors(3)
    weight_average_(averaged, source, ema_decay)
    for mine, theirs in zip(averaged, source, strict=True):
        assert torch.equal(mine, theirs)


def test_average_is_in_place_and_the_source_unchanged():
    averaged, source = tensors(4), tensors(5)
    kept = [t.clone() for t in source]
    places = [t.data_ptr() for t in averaged]
    weight_average_(averaged, source, .5)
    assert [t.data_ptr() for t in averaged] == places
    for before, after in zip(kept, source, strict=True):
        assert torch.equal(before, after)


def test_average_takes_parameters_and_gives_no_gradient():
    averaged = [torch.nn.Parameter(t) for t in tensors(6)]
    source = [torch.nn.Parameter(t) for t in tensors(7)]
    weight_average_(averaged, source, .5)
    for param in averaged + source:
        assert param.is_leaf
        assert param.grad is None
        assert param.grad_fn is None
    torch.testing.assert_close(
        averaged[0].detach(),
        .5 * tensors(6)[0] + .5 * tensors(7)[0])


def test_no_tensors_is_no_work():
    weight_average_([], [], .9)


def test_lists_of_other_lengths_are_refused():
    averaged = tensors(0)
    kept = [t.clone() for t in averaged]
    with pytest.raises(ValueError, match='4.*3|3.*4'):
        weight_average_(averaged, tensors(1)[:3], .9)
    for before, after in zip(kept, averaged, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize('ema_decay', [-.1, 1.0, 1.5])
def test_decay_outside_its_range_is_refused(ema_decay):
    with pytest.raises(ValueError, match='ema_decay') as error:
        weight_average_(tensors(0), tensors(1), ema_decay)
    assert str(ema_decay) in str(error.value)


# Warm-up --------------------------------------------------------------------


@pytest.mark.parametrize('step', [0, 1, 7, 10**6])
def test_without_warmup_the_decay_is_the_decay(step):
    assert effective_decay(.999, step) == .999
    assert effective_decay(.999, step, warmup=False) == .999


@pytest.mark.parametrize('step, expected', [
    (0, .1), (1, 2 / 11), (8, .5), (80, .9), (8990, 8991 / 9000),
    (8991, .999), (10**6, .999)])
def test_warmup_by_hand(step, expected):
    got = effective_decay(.999, step, warmup=True)
    assert got == pytest.approx(min(.999, expected), rel=1e-12)


def test_warmup_never_falls_and_never_passes_the_decay():
    values = [effective_decay(.99, t, warmup=True) for t in range(2000)]
    assert values == sorted(values)
    assert values[-1] == .99
    assert effective_decay(0.0, 50, warmup=True) == 0
