"""Gradients that are taken early and handed on later."""
import pytest
import torch

from mbcd_mmaction.functional import take_gradients, with_gradients


def make(seed=0):
    """Two parameters, one that is unused, and a loss."""
    generator = torch.Generator().manual_seed(seed)
    params = {
        name: torch.randn(3, generator=generator,
                          dtype=torch.float64).requires_grad_()
        for name in 'abc'
    }
    return params, (params['a']**2 * params['b'].exp()).sum()


def plain(factor=1.0):
    params, loss = make()
    (factor * loss).backward()
    return {name: param.grad for name, param in params.items()}


def test_taken_gradients_are_those_of_a_backward_pass():
    params, loss = make()
    got = take_gradients(loss, params)
    assert list(got) == ['a', 'b']  # 'c' is not used
    for name, grad in got.items():
        assert torch.equal(grad, plain()[name])
        assert params[name].grad is None


def test_scale_cancels():
    params, loss = make()
    got = take_gradients(loss, params, loss_scale=2.0**10)
    for name, grad in got.items():
        torch.testing.assert_close(grad, plain()[name], rtol=1e-15, atol=0)


def test_a_released_graph_is_gone():
    params, loss = make()
    take_gradients(loss, params, retain_graph=False)
    with pytest.raises(RuntimeError, match='second time'):
        take_gradients(loss, params)


def test_a_constant_has_no_gradients():
    params, _ = make()
    assert take_gradients(torch.tensor(1.0), params) == {}
    assert take_gradients(make()[1], {}) == {}


@pytest.mark.parametrize('factor', [1.0, -2.5])
def test_known_gradients_reach_the_parameters(factor):
    params, loss = make()
    known = with_gradients(loss, params,
                           take_gradients(loss, params, retain_graph=False))
    assert torch.equal(known, loss.detach())
    (factor * known).backward()
    for name, expected in plain(factor).items():
        if expected is None:
            assert params[name].grad is None
        else:
            torch.testing.assert_close(params[name].grad, expected,
                                       rtol=1e-15, atol=0)


def test_known_gradients_add_up_with_others_and_over_backward_passes():
    params, loss = make()
    known = with_gradients(loss, params, take_gradients(loss, params))
    total = known + 3 * params['a'].sum()
    total.backward(retain_graph=True)
    once = params['a'].grad.clone()
    assert torch.equal(once, plain()['a'] + 3)
    total.backward()
    assert torch.equal(params['a'].grad, 2 * once)


def test_a_second_derivative_is_refused():
    params, loss = make()
    known = with_gradients(loss, params, take_gradients(loss, params))
    grad, = torch.autograd.grad(known * params['a'].sum(), params['a'],
                                create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


def test_without_gradients_it_is_a_number():
    params, loss = make()
    assert not with_gradients(loss, params, {}).requires_grad
