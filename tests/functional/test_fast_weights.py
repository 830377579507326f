"""Eq. 5 and 6: the inner step, its gradient, and the penalty."""
import oracle
import pytest
import torch

from mbcd_mmaction.functional.fast_weights import (
    alignment_penalty,
    fast_weights,
    gradient_inner_product,
    inner_gradients,
)

SHAPES = dict(weight=(3, 4), bias=(3, ), scale=())


def tensors(seed, grad=False):
    generator = torch.Generator().manual_seed(seed)
    return {
        n: torch.randn(s, generator=generator,
                       dtype=torch.float64).requires_grad_(grad)
        for n, s in SHAPES.items()
    }


def loss_of(params, x):
    out = params['scale'] * torch.tanh(x @ params['weight'].T +
                                       params['bias'])
    return (out**2).mean()


def quadratic_problem(seed, size=5):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    roots = [draw(size, size) for _ in range(2)]
    theta = draw(size).requires_grad_()
    return (theta, draw(size), roots[0] @ roots[0].T, draw(size),
            roots[1] @ roots[1].T)


# Inner gradients ------------------------------------------------------------


def test_inner_gradients_by_hand():
    params = dict(a=torch.tensor([2., -3.], requires_grad=True),
                  b=torch.tensor(4., requires_grad=True))
    got = inner_gradients((params['a']**2).sum() * params['b'], params)
    assert got['a'].tolist() == [16., -24.]
    assert got['b'].item() == 13
    assert not any(g.requires_grad for g in got.values())
    assert all(p.grad is None for p in params.values())


def test_inner_gradients_of_unused_params_are_zeros():
    params = tensors(0, grad=True)
    got = inner_gradients((params['weight']**2).sum(), params)
    assert list(got) == list(params)
    assert got['weight'].any()
    for name in ('bias', 'scale'):
        assert torch.equal(got[name], torch.zeros(SHAPES[name]).double())


def test_inner_gradients_leave_the_graph_for_the_outer_backward():
    params = tensors(1, grad=True)
    loss = loss_of(params, torch.ones(2, 4, dtype=torch.float64))
    got = inner_gradients(loss, params)
    loss.backward()
    for name, param in params.items():
        assert torch.equal(param.grad, got[name])


@pytest.mark.parametrize('seed', range(3))
def test_inner_gradients_equal_differences(seed):
    params = tensors(seed, grad=True)
    x = torch.randn(2, 4, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(seed))
    got = inner_gradients(loss_of(params, x), params)
    directions = tensors(seed + 100)
    ahead, behind = ({
        n: p.detach() + sign * 1e-5 * directions[n]
        for n, p in params.items()
    } for sign in (1, -1))
    slope = (loss_of(ahead, x) - loss_of(behind, x)) / 2e-5
    along = sum((got[n] * directions[n]).sum() for n in params)
    assert along.item() == pytest.approx(slope.item(), rel=1e-6)


@pytest.mark.parametrize('create_graph', [False, True])
def test_create_graph_decides_whether_gradients_have_one(create_graph):
    params = tensors(2, grad=True)
    loss = loss_of(params, torch.ones(2, 4, dtype=torch.float64))
    got = inner_gradients(loss, params, create_graph=create_graph)
    assert got['weight'].requires_grad is create_graph


@pytest.mark.parametrize('scale', [1.0, 1024.0, 65536.0])
def test_loss_scale_does_not_change_the_gradients(scale):
    params = tensors(3, grad=True)
    x = torch.ones(2, 4, dtype=torch.float64)
    plain = inner_gradients(loss_of(params, x), params)
    scaled = inner_gradients(loss_of(params, x), params, loss_scale=scale)
    for name in params:
        assert torch.equal(scaled[name], plain[name])


def test_loss_scale_saves_half_precision_from_underflow():
    """Single-precision weights, a layer in half precision, as under AMP."""
    weight = torch.ones(4, requires_grad=True)

    def loss():
        return (weight.half().float() * 1e-9).sum()

    assert not inner_gradients(loss(), dict(w=weight))['w'].any()
    saved = inner_gradients(loss(), dict(w=weight), loss_scale=65536.0)['w']
    assert saved.tolist() == pytest.approx([1e-9] * 4, rel=.01)


# Eq. 5 ----------------------------------------------------------------------


def test_fast_weights_of_one_linear_layer_by_hand():
    """y = w x, loss (y - 1)^2 / 2, w = 2, x = 3: gradient 15."""
    params = dict(w=torch.tensor([[2.0]], requires_grad=True))
    y = torch.nn.functional.linear(torch.tensor([[3.0]]), params['w'])
    grads = inner_gradients(((y - 1)**2).sum() / 2, params)
    assert grads['w'].item() == 15
    got = fast_weights(params, grads, inner_lr=0.1)
    assert got['w'].item() == pytest.approx(0.5)
    assert params['w'].item() == 2


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('inner_lr', [1e-4, .1, 2.0])
def test_fast_weights_equal_an_sgd_step(seed, inner_lr):
    params, grads = tensors(seed, grad=True), tensors(seed + 10)
    got = fast_weights(params, grads, inner_lr)
    loops = oracle.fast_weights(params, grads, inner_lr)
    moved = {n: p.detach().clone().requires_grad_()
             for n, p in params.items()}
    for name, param in moved.items():
        param.grad = grads[name].clone()
    torch.optim.SGD(moved.values(), lr=inner_lr).step()
    assert list(got) == list(params)
    for name, value in got.items():
        torch.testing.assert_close(
            value, moved[name], rtol=1e-14, atol=1e-15)
        torch.testing.assert_close(
            value, loops[name], rtol=1e-14, atol=1e-15)


def test_fast_weights_leave_their_arguments_alone():
    params, grads = tensors(0, grad=True), tensors(1)
    before = {n: p.detach().clone() for n, p in params.items()}
    held = {n: g.clone() for n, g in grads.items()}
    fast_weights(params, grads, .5)
    for name in params:
        assert torch.equal(params[name], before[name])
        assert torch.equal(grads[name], held[name])


def test_inner_lr_zero_gives_the_same_tensors():
    params, grads = tensors(2, grad=True), tensors(3)
    for name, value in fast_weights(params, grads, 0.0).items():
        assert torch.equal(value, params[name])


def test_negative_inner_lr_is_refused():
    with pytest.raises(ValueError, match='inner_lr.*-0.1'):
        fast_weights(tensors(0), tensors(1), -0.1)


def test_gradients_of_other_names_are_refused():
    grads = tensors(1)
    del grads['bias']
    with pytest.raises((ValueError, KeyError), match='bias'):
        fast_weights(tensors(0), grads, .1)


# Orders, on a quadratic and on a network ------------------------------------


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('inner_lr', [1e-3, .2])
@pytest.mark.parametrize('order', ['first', 'second'])
def test_orders_on_a_quadratic(seed, inner_lr, order):
    theta, a, mat_a, b, mat_b = quadratic_problem(seed)
    params = dict(theta=theta)
    grads = inner_gradients(oracle.quadratic(theta, a, mat_a), params,
                            create_graph=order == 'second')
    moved = fast_weights(params, grads, inner_lr)['theta']
    oracle.quadratic(moved, b, mat_b).backward()
    expected = oracle.quadratic_gradients(theta.detach(), a, mat_a, b, mat_b,
                                          inner_lr)
    torch.testing.assert_close(theta.grad, expected[order], rtol=1e-10,
                               atol=1e-12)


@pytest.mark.parametrize('seed', range(4))
def test_penalty_on_a_quadratic(seed):
    theta, a, mat_a, b, mat_b = quadratic_problem(seed)
    own, shared = (
        inner_gradients(loss, dict(theta=theta), create_graph=True)
        for loss in (oracle.quadratic(theta, a, mat_a),
                     oracle.quadratic(theta, b, mat_b)))
    value = alignment_penalty(dict(video=own), dict(video=shared), .2)
    assert value.shape == ()
    value.backward()
    with torch.no_grad():
        by_hand = -.2 * (mat_a @ (theta - a)) @ (mat_b @ (theta - b))
    assert value.item() == pytest.approx(by_hand.item(), rel=1e-12)
    expected = oracle.quadratic_gradients(theta.detach(), a, mat_a, b, mat_b,
                                          .2)
    torch.testing.assert_close(theta.grad, expected['penalty'], rtol=1e-10,
                               atol=1e-12)


def test_first_order_gradient_is_the_gradient_at_the_fast_weights():
    params = tensors(5, grad=True)
    x = torch.randn(6, 4, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(5))
    grads = inner_gradients(loss_of(params, x[:3]), params)
    moved = fast_weights(params, grads, .3)
    loss_of(moved, x[3:]).backward()
    alone = {n: v.detach().clone().requires_grad_()
             for n, v in moved.items()}
    loss_of(alone, x[3:]).backward()
    for name, param in params.items():
        assert torch.equal(param.grad, alone[name].grad)


def test_second_order_gradient_equals_differences():
    params = tensors(6, grad=True)
    x = torch.randn(6, 4, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(6))

    def looked_ahead(point, create_graph):
        grads = inner_gradients(loss_of(point, x[:3]), point,
                                create_graph=create_graph)
        return loss_of(fast_weights(point, grads, .3), x[3:])

    looked_ahead(params, True).backward()
    directions = tensors(7)
    ends = [
        looked_ahead({
            n: (p.detach() + sign * 1e-5 * directions[n]).requires_grad_()
            for n, p in params.items()
        }, False).item() for sign in (1, -1)
    ]
    along = sum((params[n].grad * directions[n]).sum() for n in params)
    assert along.item() == pytest.approx((ends[0] - ends[1]) / 2e-5,
                                         rel=1e-6)


# Eq. 6 ----------------------------------------------------------------------


def test_inner_product_by_hand():
    ones = dict(w=torch.tensor([[1., 2.], [3., 4.]]), b=torch.tensor([5.]))
    twos = dict(w=torch.tensor([[2., 0.], [0., -1.]]), b=torch.tensor([3.]))
    got = gradient_inner_product(ones, twos)
    assert got.shape == ()
    assert got.item() == 2 - 4 + 15


@pytest.mark.parametrize('seed', range(4))
def test_inner_product_equals_loops(seed):
    one, two = tensors(seed), tensors(seed + 20)
    got = gradient_inner_product(one, two)
    assert got.item() == pytest.approx(
        oracle.inner_product(one, two).item(), rel=1e-12)
    assert got.item() == pytest.approx(
        gradient_inner_product(two, one).item(), rel=1e-14)


def test_inner_product_goes_by_name_not_by_order():
    one, two = tensors(0), tensors(1)
    turned = dict(reversed(two.items()))
    assert gradient_inner_product(one, turned).item() == pytest.approx(
        gradient_inner_product(one, two).item(), rel=1e-14)


def test_inner_product_of_other_names_is_refused():
    other = tensors(1)
    other['other'] = other.pop('bias')
    with pytest.raises((ValueError, KeyError), match='bias|other'):
        gradient_inner_product(tensors(0), other)


@pytest.mark.parametrize('seed', range(3))
def test_penalty_sums_over_modalities(seed):
    own = {m: tensors(seed + i) for i, m in enumerate(['a', 'b', 'c'])}
    shared = {m: tensors(seed + 30 + i) for i, m in enumerate(own)}
    expected = -.25 * sum(
        oracle.inner_product(own[m], shared[m]).item() for m in own)
    got = alignment_penalty(own, shared, .25)
    assert got.item() == pytest.approx(expected, rel=1e-12)
    assert alignment_penalty(own, shared, 0.0).item() == 0


def test_penalty_is_lower_when_gradients_agree():
    own = dict(video=tensors(0))
    against = dict(video={n: -g for n, g in tensors(0).items()})
    agree = alignment_penalty(own, own, .1).item()
    assert agree < 0 < alignment_penalty(own, against, .1).item()


def test_penalty_of_other_modalities_is_refused():
    with pytest.raises((ValueError, KeyError), match='audio|video'):
        alignment_penalty(dict(video=tensors(0)), dict(audio=tensors(0)), .1)
