"""Mixed precision on the CPU."""
import pytest
import torch
from mmaction.registry import OPTIM_WRAPPERS
from mmengine.optim import AmpOptimWrapper
from torch import nn

from mbcd_mmaction.engine import CPUAmpOptimWrapper


def make(**kwargs):
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, OPTIM_WRAPPERS.build(
        dict(type='CPUAmpOptimWrapper', optimizer=optimizer, **kwargs))


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is present')
def test_the_hosts_wrapper_refuses():
    parameter = nn.Parameter(torch.ones(1))
    with pytest.raises(AssertionError, match='only available'):
        AmpOptimWrapper(optimizer=torch.optim.SGD([parameter], lr=0.1))


def test_forward_is_bfloat16_and_weights_stay_float32():
    model, wrapper = make()
    assert isinstance(wrapper, CPUAmpOptimWrapper)
    x = torch.randn(3, 4)
    with wrapper.optim_context(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    assert model(x).dtype == torch.float32
    before = model.weight.detach().clone()
    wrapper.update_params(out.float().square().mean())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


def test_step_is_near_the_full_precision_one():
    model, wrapper = make()
    twin, _ = make()
    x = torch.randn(3, 4)
    with wrapper.optim_context(model):
        loss = model(x).float().square().mean()
    wrapper.backward(loss)
    twin(x).square().mean().backward()
    torch.testing.assert_close(model.weight.grad, twin.weight.grad,
                               rtol=0.05, atol=0.02)
    assert not torch.equal(model.weight.grad, twin.weight.grad)


def test_accumulation_steps_every_second_time():
    model, wrapper = make(accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    steps = []
    for _ in range(4):
        before = model.weight.detach().clone()
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 4)).float().square().sum()
        wrapper.update_params(loss)
        steps.append(not torch.equal(before, model.weight))
    assert steps == [False, True, False, True]
