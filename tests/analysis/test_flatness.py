"""Perturbed weights against closed forms."""
import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mbcd_mmaction.analysis.flatness import (
    cross_entropy,
    filter_direction,
    filter_norms,
    loss_at_radii,
    moved,
)

RADII = [0.0, .25, .5, 2.0]


def net():
    """A convolution, a norm and a linear layer."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
                         nn.Linear(4, 5)).double().eval()


def weights_of(model):
    return dict(model.named_parameters())


def test_filters_have_the_norms_of_the_weights():
    weights = weights_of(net())
    with torch.no_grad():
        weights['0.weight'][1] = 0  # a filter that died
    direction = filter_direction(weights, seed=3)
    assert list(direction) == list(weights)
    for name in ('0.weight', '3.weight'):
        rows = weights[name].flatten(1)
        assert filter_norms(weights[name]).shape == (
            len(rows), *[1] * (weights[name].ndim - 1))
        for own, drawn in zip(rows, direction[name].flatten(1), strict=True):
            assert drawn.norm().item() == pytest.approx(own.norm().item(),
                                                        rel=1e-12)
            assert (drawn == 0).all() == (own == 0).all()
    assert not direction['0.weight'][1].any()
    # biases and the affine of norms have no filters: they stay
    for name in ('0.bias', '1.weight', '1.bias', '3.bias'):
        assert weights[name].ndim == 1
        assert not direction[name].any()


def test_models_of_one_shape_share_the_draws():
    """Whatever the scale of their weights, and with other biases."""
    weights = weights_of(net())
    louder = {name: 3 * weight for name, weight in weights.items()}
    one, two = (filter_direction(w, 7) for w in (weights, louder))
    for name in weights:
        assert torch.allclose(3 * one[name], two[name], rtol=1e-12)
    again, other = (filter_direction(weights, seed) for seed in (7, 8))
    assert all(torch.equal(one[name], again[name]) for name in weights)
    assert not torch.allclose(one['0.weight'], other['0.weight'])


def test_one_weight_a_filter_by_hand():
    """Then d is +-w: the loss sum w^2 / 2 is known at each radius."""
    weight = nn.Parameter(torch.tensor([[2.0], [-1.0]], dtype=torch.float64))
    losses = loss_at_radii({'w': weight},
                           lambda: (weight**2).sum().item() / 2, RADII, 6)
    assert losses.shape == (6, 4)
    for row in losses:
        signs = [(a, b) for a in (1, -1) for b in (1, -1)
                 if np.allclose(row, [2 * (1 + a * r)**2
                                      + .5 * (1 + b * r)**2 for r in RADII],
                                rtol=1e-12)]
        assert len(signs) == 1
    assert len({tuple(row) for row in losses.round(6).tolist()}) > 1


def test_a_quadratic_loss():
    """L(r) = sum_i |w_i|^2 (1 + r^2 + 2 r cos_i) / 2."""
    weight = nn.Parameter(torch.randn(5, 7, dtype=torch.float64))
    theta = weight.detach().clone()
    losses = loss_at_radii({'w': weight},
                           lambda: (weight**2).sum().item() / 2, RADII, 2,
                           seed=4)
    seeds = [int(child.generate_state(1)[0])
             for child in np.random.SeedSequence(4).spawn(2)]
    for row, seed in zip(losses, seeds, strict=True):
        direction = filter_direction({'w': theta}, seed)['w']
        square = (theta**2).sum(1)
        cos = (theta * direction).sum(1) / square
        expected = [(square * (1 + r**2 + 2 * r * cos)).sum().item() / 2
                    for r in RADII]
        assert row == pytest.approx(expected, rel=1e-12)
    assert torch.equal(weight, theta)


def test_more_directions_keep_the_first():
    weight = torch.randn(3, 4)
    few, many = (loss_at_radii({'w': weight}, lambda: weight.sum().item(),
                               RADII, n, seed=1) for n in (2, 4))
    assert np.array_equal(few, many[:2])
    assert not np.array_equal(many[0], many[2])


def test_weights_are_restored_bit_for_bit():
    model = net().float()
    before = copy.deepcopy(model.state_dict())
    weights = weights_of(model)
    x = torch.randn(2, 3, 3, 3)
    plain = model(x)
    direction = filter_direction(weights, 0)
    with moved(weights, direction, .3):
        assert not torch.equal(model(x), plain)
        assert torch.equal(
            weights['3.weight'],
            before['3.weight'] + .3 * direction['3.weight'])
    with pytest.raises(RuntimeError, match='in between'):
        with moved(weights, direction, 5.0):
            raise RuntimeError('in between')
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(model(x), plain)


def test_radius_zero_is_measured_once():
    calls = []
    weight = torch.randn(3, 4)
    losses = loss_at_radii({'w': weight}, lambda: calls.append(1) or 5.0,
                           [0.0, 1.0], directions=3)
    assert len(calls) == 1 + 3
    assert losses.tolist() == [[5.0, 5.0]] * 3


def test_cross_entropy():
    logits = torch.randn(6, 4, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    assert cross_entropy(logits.softmax(1).numpy(),
                         labels.numpy()) == pytest.approx(
                             F.cross_entropy(logits, labels).item(),
                             rel=1e-12)
    sure = np.array([[1.0, 0.0]])
    assert cross_entropy(sure, np.array([0])) == 0
    assert cross_entropy(sure, np.array([1])) == pytest.approx(87.34, abs=.01)
    with pytest.raises(ValueError, match='got nan'):
        cross_entropy(np.array([[np.nan, 1.0]]), np.array([1]))


def test_refusals():
    with pytest.raises(ValueError, match=r"with filters .* got \['bias'\]"):
        loss_at_radii({'bias': torch.zeros(3)}, lambda: 0.0, RADII, 2)
    with pytest.raises(ValueError, match=r'radii of 0 or more, got \[-1\]'):
        loss_at_radii({'w': torch.zeros(3, 2)}, lambda: 0.0, [-1], 2)
