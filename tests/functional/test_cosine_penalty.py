"""Eq. 6 without its scale: weight * sum of (1 - cosine)."""
import pytest
import torch
import torch.nn.functional as F

from mbcd_mmaction.functional import (
    alignment_penalty,
    cosine_penalty,
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


def flat(grads):
    return torch.cat([g.reshape(-1) for g in grads.values()])


def one(x, y, weight=1.0):
    return cosine_penalty(dict(a=dict(x=x)), dict(a=dict(x=y)), weight)


@pytest.mark.parametrize('x,y,expected', [
    ([3., 0.], [7., 0.], 0.0),  # one direction
    ([3., 0.], [0., 2.], 1.0),  # at right angles
    ([3., 0.], [-1., 0.], 2.0),  # against each other
    ([3., 4.], [4., 3.], 1 - 24 / 25),
    ([0., 0.], [4., 3.], 1.0), ([0., 0.], [0., 0.], 1.0)])
def test_by_hand(x, y, expected):
    x, y = torch.tensor(x), torch.tensor(y)
    for weight in (1.0, 0.25, 0.0):
        got = one(x, y, weight)
        assert got.shape == () and got.dtype == torch.float32
        assert got.item() == pytest.approx(weight * expected, abs=1e-6)
    assert one(y, x).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('seed', range(5))
def test_equals_torch_over_all_tensors_of_a_modality(seed):
    own = {m: tensors(10 * seed + i) for i, m in enumerate('abc')}
    fused = {m: tensors(10 * seed + 5 + i) for i, m in enumerate('abc')}
    cosines = [F.cosine_similarity(flat(own[m]), flat(fused[m]), dim=0)
               for m in own]
    expected = 0.3 * sum(1 - c for c in cosines)
    torch.testing.assert_close(cosine_penalty(own, fused, 0.3), expected)


@pytest.mark.parametrize('seed', range(3))
def test_gradient_equals_torchs(seed):
    results = []
    for by_torch in (False, True):
        own, fused = tensors(seed, grad=True), tensors(seed + 50, grad=True)
        cost = (1 - F.cosine_similarity(flat(own), flat(fused), dim=0)
                if by_torch else
                cosine_penalty(dict(a=own), dict(a=fused), 1.0))
        results.append(torch.autograd.grad(
            cost, [*own.values(), *fused.values()]))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradcheck():
    leaves = [t for seed in (0, 1) for t in tensors(seed, grad=True).values()]

    def cost(*flat_list):
        own = dict(zip(SHAPES, flat_list[:3], strict=True))
        fused = dict(zip(SHAPES, flat_list[3:], strict=True))
        return cosine_penalty(dict(a=own), dict(a=fused), 2.0)

    assert torch.autograd.gradcheck(cost, leaves)
    assert torch.autograd.gradgradcheck(cost, leaves)


@pytest.mark.parametrize('zero', ['own', 'fused', 'both'])
def test_a_gradient_of_zeros_gives_no_nan(zero):
    own, fused = (torch.zeros(3, requires_grad=True) if zero in (name, 'both')
                  else torch.tensor([1., 2., 3.], requires_grad=True)
                  for name in ('own', 'fused'))
    cost = one(own, fused)
    assert cost.item() == 1.0
    for grad in torch.autograd.grad(cost, [own, fused]):
        assert grad.isfinite().all()


def test_zeros_in_the_backward_pass_through_a_loss():
    """Second derivatives, as the penalty takes them: dead units."""
    weight = torch.full((4, ), -1.0, requires_grad=True)
    dead = F.relu(weight).sum()
    alive = (weight**2).sum()
    grads = [dict(a=inner_gradients(loss, dict(w=weight), create_graph=True))
             for loss in (dead, alive)]
    cost = cosine_penalty(*grads, 1.0)
    cost.backward()
    assert cost.item() == 1.0 and weight.grad.isfinite().all()


@pytest.mark.parametrize('size', [1e-12, 1e-3, 1e3, 1e12])
def test_scale_does_not_matter(size):
    x, y = torch.tensor([3., 4.]), torch.tensor([4., 3.])
    expected = one(x, y).item()
    assert one(size * x, y).item() == pytest.approx(expected, rel=1e-5)
    assert one(size * x, size * y).item() == pytest.approx(expected,
                                                           rel=1e-5)


def test_names_must_agree():
    with pytest.raises(ValueError, match='same tensors'):
        cosine_penalty(dict(a=tensors(0)), dict(a=dict(weight=torch.ones(1))),
                       1.0)


def test_it_falls_where_the_product_falls():
    """Both penalties push two gradients together."""
    own, fused = tensors(1, grad=True), tensors(2, grad=True)
    steps = []
    for cost in (alignment_penalty, cosine_penalty):
        grads = torch.autograd.grad(
            cost(dict(a=own), dict(a=fused), 1.0), list(own.values()))
        moved = {n: (p - 1e-3 * g).detach()
                 for (n, p), g in zip(own.items(), grads, strict=True)}
        steps.append(F.cosine_similarity(flat(moved), flat(fused), dim=0))
    start = F.cosine_similarity(flat(own), flat(fused), dim=0)
    assert all(step > start for step in steps)
