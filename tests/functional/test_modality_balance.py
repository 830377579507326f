"""Eq. 2-4: confidence, dominance ratio, drop probability and mask."""
import math

import oracle
import pytest
import torch

from mbcd_mmaction.functional.modality_balance import (
    confidence,
    dominance_ratio,
    drop_prob,
    sample_keep_mask,
)

NAMES = ['video', 'flow', 'audio', 'depth', 'touch']


def scalars(**values):
    return {n: torch.tensor(v, dtype=torch.float64)
            for n, v in values.items()}


def random_logits(seed, count=3, num=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    return {
        n: 3 * torch.randn(num, classes, generator=generator,
                           dtype=torch.float64) for n in NAMES[:count]
    }


# Eq. 2 ----------------------------------------------------------------------


def test_confidence_by_hand():
    """Two clips, three classes: 2 / (2 + 1 + 1) and 1 / 3."""
    logits = torch.tensor([[math.log(2), 0., 0.], [5., 5., 5.]],
                          dtype=torch.float64)
    got = confidence(dict(video=logits, audio=logits[:, [2, 0, 1]]))
    assert list(got) == ['video', 'audio']
    for value in got.values():
        assert value.shape == ()
        assert value.item() == pytest.approx(1 / 2 + 1 / 3, rel=1e-12)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('count', [2, 3, 5])
def test_confidence_equals_loops(seed, count):
    logits = random_logits(seed, count)
    got = confidence(logits)
    expected = oracle.confidence(logits)
    assert set(got) == set(expected)
    for name, value in got.items():
        assert value.item() == pytest.approx(expected[name], rel=1e-12)


def test_confidence_of_uniform_logits_is_n_over_k():
    got = confidence(dict(video=torch.zeros(6, 8), audio=torch.ones(6, 8)))
    assert [v.item() for v in got.values()] == pytest.approx([.75, .75])


def test_confidence_of_large_logits_is_the_number_of_clips():
    logits = 1e4 * torch.eye(4)
    assert confidence(dict(a=logits, b=-logits))['a'].item() == 4


def test_confidence_is_detached_and_leaves_logits_alone():
    logits = {n: v.requires_grad_() for n, v in random_logits(0).items()}
    before = {n: v.detach().clone() for n, v in logits.items()}
    got = confidence(logits)
    assert not any(v.requires_grad for v in got.values())
    for name, value in logits.items():
        assert torch.equal(value, before[name])
        assert value.grad is None


# Eq. 3 ----------------------------------------------------------------------


def test_ratio_by_hand():
    got = dominance_ratio(scalars(video=.9, flow=.5, audio=.3))
    assert got['video'].item() == pytest.approx((.9 / .5 + .9 / .3) / 2)
    assert got['video'].item() == pytest.approx(2.400, abs=5e-4)
    assert got['flow'].item() == pytest.approx(1.111, abs=5e-4)
    assert got['audio'].item() == pytest.approx(.467, abs=5e-4)


def test_ratio_is_a_mean_of_ratios_not_a_ratio_of_means():
    got = dominance_ratio(scalars(video=.9, flow=.5, audio=.3))
    assert abs(got['video'].item() - .9 / ((.5 + .3) / 2)) > .1


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('count', [2, 3, 5])
def test_ratio_equals_loops(seed, count):
    generator = torch.Generator().manual_seed(seed)
    scores = {
        n: 1 + 9 * torch.rand((), generator=generator, dtype=torch.float64)
        for n in NAMES[:count]
    }
    got = dominance_ratio(scores)
    expected = oracle.dominance_ratio({n: v.item()
                                       for n, v in scores.items()})
    assert list(got) == list(scores)
    for name, value in got.items():
        assert value.shape == ()
        assert value.item() == pytest.approx(expected[name], rel=1e-12)


@pytest.mark.parametrize('count', [2, 3, 4, 5])
@pytest.mark.parametrize('score', [.1, .7, 3.3, 15.9])
def test_equal_scores_give_exactly_one(count, score):
    got = dominance_ratio({n: torch.tensor(score) for n in NAMES[:count]})
    assert [v.item() for v in got.values()] == [1.0] * count


def test_ratio_does_not_depend_on_the_batch_size():
    logits = random_logits(7)
    once = dominance_ratio(confidence(logits))
    twice = dominance_ratio(confidence(
        {n: torch.cat([v, v]) for n, v in logits.items()}))
    for name, value in once.items():
        assert twice[name].item() == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize('scores', [{}, dict(video=torch.tensor(1.0))])
def test_ratio_needs_two_modalities(scores):
    with pytest.raises(ValueError, match='(?i)modalit') as error:
        dominance_ratio(scores)
    assert any(word in str(error.value).lower() for word in ('two', '2'))
    for name in scores:
        assert name in str(error.value)


# Eq. 4 ----------------------------------------------------------------------


def test_drop_prob_by_hand():
    got = drop_prob(scalars(video=2.4, flow=1.0, audio=.467))
    assert got['video'].item() == pytest.approx(.885, abs=5e-4)
    assert got['flow'].item() == 0
    assert got['audio'].item() == 0


@pytest.mark.parametrize('base', [0.0, 0.2, 0.9])
@pytest.mark.parametrize('seed', range(3))
def test_drop_prob_equals_loops(base, seed):
    generator = torch.Generator().manual_seed(seed)
    ratios = {
        n: 3 * torch.rand((), generator=generator, dtype=torch.float64)
        for n in NAMES
    }
    got = drop_prob(ratios, base_drop_prob=base)
    expected = oracle.drop_prob({n: v.item() for n, v in ratios.items()},
                                base)
    assert list(got) == NAMES
    for name, value in got.items():
        assert value.shape == ()
        assert value.item() == pytest.approx(expected[name], rel=1e-12)


def test_floor_holds_only_where_the_ratio_is_above_one():
    got = drop_prob(scalars(a=1.0, b=1 + 1e-9, c=.2), base_drop_prob=.25)
    assert got['a'].item() == 0
    assert got['b'].item() == pytest.approx(.25, abs=1e-8)
    assert got['c'].item() == 0


def test_drop_prob_stays_below_one_at_moderate_ratios():
    got = drop_prob(scalars(a=8.0, b=.1), base_drop_prob=.5)
    assert .99 < got['a'].item() < 1


@pytest.mark.parametrize('base', [-.1, 1.5])
def test_floor_outside_its_range_is_refused(base):
    with pytest.raises(ValueError, match='base_drop_prob') as error:
        drop_prob(scalars(a=2.0, b=.5), base_drop_prob=base)
    assert str(base) in str(error.value)


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('base', [0.0, 0.5])
def test_least_confident_is_never_dropped(seed, base):
    """The whole chain in float32, and every clip keeps a modality."""
    count = 2 + seed % 4
    logits = {n: v.float() for n, v in random_logits(seed, count).items()}
    scores = confidence(logits)
    weakest = min(scores, key=lambda n: scores[n].item())
    probs = drop_prob(dominance_ratio(scores), base_drop_prob=base)
    assert probs[weakest].item() == 0
    generator = torch.Generator().manual_seed(seed)
    mask = sample_keep_mask(probs, 500, generator=generator)
    assert mask[weakest].all()
    kept = sum(mask.values())
    assert kept.min() >= 1


@pytest.mark.parametrize('prob', [.1, .5, .885])
def test_mask_rate_over_many_draws(prob):
    """1e5 draws: the rate is within five standard errors."""
    num = 100_000
    generator = torch.Generator().manual_seed(0)
    mask = sample_keep_mask(scalars(a=prob, b=0.0), num,
                            generator=generator)
    bound = 5 * math.sqrt(prob * (1 - prob) / num)
    assert abs(mask['a'].double().mean().item() - (1 - prob)) < bound
    assert mask['b'].all()


def test_mask_rate_per_batch():
    generator = torch.Generator().manual_seed(0)
    kept = [
        sample_keep_mask(scalars(a=.3, b=0.0), 4, granularity='batch',
                         generator=generator)['a'].item()
        for _ in range(3000)
    ]
    assert abs(sum(kept) / 3000 - .7) < 5 * math.sqrt(.21 / 3000)


def test_mask_shapes_and_values():
    """0 or 1 and nothing else: kept rows are not rescaled."""
    probs = scalars(a=.5, b=.9)
    per_clip = sample_keep_mask(probs, 64)
    per_batch = sample_keep_mask(probs, 64, granularity='batch')
    assert list(per_clip) == list(per_batch) == ['a', 'b']
    for name in probs:
        assert per_clip[name].shape == (64, 1)
        assert per_batch[name].shape == (1, 1)
        for mask in (per_clip[name], per_batch[name]):
            assert set(mask.flatten().tolist()) <= {0.0, 1.0}
            assert not mask.requires_grad


def test_mask_is_drawn_apart_for_each_modality_and_clip():
    generator = torch.Generator().manual_seed(1)
    mask = sample_keep_mask(scalars(a=.5, b=.5), 4000, generator=generator)
    both = (mask['a'] * mask['b']).double().mean().item()
    assert both == pytest.approx(.25, abs=.04)
    follow = (mask['a'][1:] * mask['a'][:-1]).double().mean().item()
    assert follow == pytest.approx(.25, abs=.04)


def test_mask_repeats_with_its_generator_and_leaves_the_global_one():
    probs = scalars(a=.5, b=.5)
    state = torch.get_rng_state()
    draws = [
        sample_keep_mask(probs, 32,
                         generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(draws[0]['a'], draws[1]['a'])
    assert torch.equal(draws[0]['b'], draws[1]['b'])
    assert not torch.equal(draws[0]['a'], draws[2]['a'])


def test_dropped_rows_get_zero_gradient_and_kept_rows_the_whole():
    generator = torch.Generator().manual_seed(2)
    mask = sample_keep_mask(scalars(a=.5, b=0.0), 40, generator=generator)
    z = torch.randn(40, 7, requires_grad=True)
    (z * mask['a']).sum().backward()
    dropped = mask['a'].flatten() == 0
    assert 0 < dropped.sum() < 40
    assert not z.grad[dropped].any()
    assert (z.grad[~dropped] == 1).all()


def test_unknown_granularity_is_refused():
    with pytest.raises(ValueError, match='clip'):
        sample_keep_mask(scalars(a=.5, b=.0), 4, granularity='clip')
