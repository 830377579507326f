"""DSU: uncertain feature statistics (Li et al. 2022)."""
import oracle
import pytest
import torch

from mbcd_mmaction.functional.feature_perturbation import dsu


def features(seed, shape=(6, 3, 4, 5), dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 2 + 3 * torch.randn(shape, generator=generator, dtype=dtype)


def moments(x):
    """Mean and n - 1 deviation of each clip and channel, (N, C)."""
    flat = x.flatten(2)
    return flat.mean(2), flat.std(2)


@pytest.mark.parametrize('shape', [(6, 3, 4, 5), (4, 2, 3, 4, 5), (5, 3, 9)])
@pytest.mark.parametrize('seed', range(3))
def test_output_is_affine_per_clip_and_channel(shape, seed):
    """Normalised features do not change, up to the sign of the scale."""
    x = features(seed, shape)
    torch.manual_seed(seed)
    out = dsu(x, prob=1.0)
    assert out.shape == x.shape
    assert not torch.equal(out, x)
    mean_in, std_in = moments(x)
    mean_out, std_out = moments(out)
    unit_in = (x.flatten(2) - mean_in[..., None]) / std_in[..., None]
    unit_out = (out.flatten(2) - mean_out[..., None]) / std_out[..., None]
    sign = (unit_in * unit_out).sum(2, keepdim=True).sign()
    torch.testing.assert_close(unit_out * sign, unit_in, rtol=1e-6,
                               atol=1e-8)


@pytest.mark.parametrize('seed', range(2))
def test_new_statistics_are_spread_as_over_the_batch(seed):
    """New minus old statistics are normal: means 0, oracle's spreads.

    3000 draws for each of 6 clips, so a deviation is known to 1 in 190.
    """
    x = features(seed)
    stats = oracle.dsu_statistics(x)
    torch.manual_seed(seed)
    means, scales = [], []
    centred = (x.flatten(2) - stats['mu'][..., None]) / (
        stats['sigma'][..., None])
    for _ in range(3000):
        out = dsu(x, prob=1.0).flatten(2)
        means.append(out.mean(2))
        scales.append((out * centred).sum(2) / (centred**2).sum(2))
    shift = torch.stack(means) - stats['mu']
    scale = torch.stack(scales) - stats['sigma']
    for got, spread in ((shift, 'std_mu'), (scale, 'std_sigma')):
        deviation = (got**2).mean((0, 1)).sqrt()
        torch.testing.assert_close(
            deviation, stats[spread], rtol=.03, atol=0)
        centre = got.mean((0, 1)) / stats[spread]
        assert centre.abs().max() < .04
    # Drawn apart: between clips, between channels, and eps1 from eps2.
    unit_mu, unit_sigma = shift / stats['std_mu'], scale / stats['std_sigma']
    for pair in ((unit_mu[:, 0], unit_mu[:, 1]),
                 (unit_mu[..., 0], unit_mu[..., 1]), (unit_mu, unit_sigma)):
        assert (pair[0] * pair[1]).mean().abs() < .06


def test_statistics_by_hand():
    """Two clips of two positions: means 1 and 3, deviations root 2 and 0."""
    x = torch.tensor([[[0., 2.]], [[3., 3.]]], dtype=torch.float64)
    stats = oracle.dsu_statistics(x, eps=0.0)
    assert stats['mu'].flatten().tolist() == [1, 3]
    assert stats['sigma'].flatten().tolist() == pytest.approx([2**.5, 0])
    assert stats['std_mu'].tolist() == pytest.approx([2**.5])
    assert stats['std_sigma'].tolist() == pytest.approx([1.0])


@pytest.mark.parametrize('prob, low, high', [(.5, .4, .6), (.2, .12, .28)])
def test_one_coin_for_the_batch(prob, low, high):
    x = features(0)
    torch.manual_seed(0)
    changed = 0
    for _ in range(500):
        rows = (dsu(x, prob=prob) != x).flatten(1).any(1)
        assert rows.all() or not rows.any()
        changed += bool(rows.any())
    assert low < changed / 500 < high


def test_one_coin_for_all_pathways():
    """As the released code perturbs SlowFast: both or neither."""
    slow, fast = features(0), features(1, (4, 2, 6, 3))
    torch.manual_seed(0)
    both = 0
    for _ in range(100):
        out = dsu((slow, fast), prob=0.5)
        changed = [not torch.equal(a, b)
                   for a, b in zip(out, (slow, fast), strict=True)]
        assert changed[0] == changed[1]
        both += changed[0]
    assert 30 < both < 70


def test_pathways_are_perturbed_each_by_its_own_statistics():
    slow, fast = features(0), features(1, (4, 2, 6, 3))
    torch.manual_seed(0)
    out = dsu((slow, fast), prob=1.0)
    torch.manual_seed(0)
    assert torch.equal(out[0], dsu(slow, prob=1.0))
    assert [x.shape for x in out] == [slow.shape, fast.shape]
    assert not torch.equal(out[1], fast)


def test_prob_zero_is_the_identity():
    x = features(1)
    for _ in range(20):
        assert torch.equal(dsu(x, prob=0.0), x)


@pytest.mark.parametrize('shape', [(1, 3, 4, 5), (1, 2, 3, 4, 5)])
def test_batch_of_one_is_the_identity(shape):
    x = features(2, shape).requires_grad_()
    for _ in range(5):
        out = dsu(x, prob=1.0)
        assert torch.equal(out, x)
    out.sum().backward()
    assert (x.grad == 1).all()


@pytest.mark.parametrize('shape', [(4, 3, 1, 1, 1), (4, 3, 2, 2)])
def test_flat_features_and_one_position_are_finite(shape):
    x = torch.ones(shape, requires_grad=True)
    torch.manual_seed(0)
    out = dsu(x, prob=1.0)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(x.grad).all()


def test_gradient_reaches_every_entry():
    x = features(3).requires_grad_()
    weights = features(4)
    torch.manual_seed(0)
    (dsu(x, prob=1.0) * weights).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).all()


def test_repeats_with_the_seed_and_leaves_its_input_alone():
    x = features(5)
    kept = x.clone()
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(dsu(x, prob=1.0))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    assert torch.equal(x, kept)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_type_is_kept(dtype):
    assert dsu(features(6).to(dtype), prob=1.0).dtype == dtype
