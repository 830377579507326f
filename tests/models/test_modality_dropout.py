"""Modality dropout as a component: a dict of embeddings in, one out."""
import pytest
import torch
from mmaction.registry import MODELS

from mbcd_mmaction.functional import (
    confidence,
    dominance_ratio,
    drop_prob,
)
from mbcd_mmaction.models import (
    AdaptiveModalityDropout,
    BaseModalityDropout,
    FixedModalityDropout,
)

NAMES = ('video', 'flow', 'audio')
DIMS = dict(video=4, flow=3, audio=2)


def make_logits(num_samples=6, num_classes=5, seed=0, scale=(4., 1.5, 0.)):
    """Logits whose confidence falls from video to audio."""
    generator = torch.Generator().manual_seed(seed)
    return {
        m: s * torch.randn(num_samples, num_classes, generator=generator)
        for m, s in zip(NAMES, scale, strict=True)
    }


def make_embeddings(num_samples=6):
    return {m: 1 + torch.rand(num_samples, d) for m, d in DIMS.items()}


def draws(module, logits, count):
    """Masks of many draws, modality to (count, N or 1)."""
    kept = {m: [] for m in logits}
    for _ in range(count):
        mask, _ = module.keep_mask(logits)
        for m in logits:
            kept[m].append(mask[m].flatten())
    return {m: torch.stack(v) for m, v in kept.items()}


@pytest.mark.parametrize('base', [0.0, 0.3])
@pytest.mark.parametrize('granularity', ['sample', 'batch'])
def test_adaptive_rate(base, granularity):
    """The kept share is 1 - p, p from Eq. 2-4 on these logits."""
    torch.manual_seed(0)
    logits = make_logits()
    module = AdaptiveModalityDropout(base, granularity).train()
    kept = draws(module, logits, 4000)
    probs = drop_prob(dominance_ratio(confidence(logits)), base)
    ratios = dominance_ratio(confidence(logits))
    assert probs['video'] > 0.5 > probs['audio'] == 0
    for m in NAMES:
        p, total = float(probs[m]), kept[m].numel()
        deviation = (p * (1 - p) / total)**0.5
        assert abs(float(1 - kept[m].mean()) - p) <= 4.5 * deviation, m
        if ratios[m] > 1:
            assert base <= p < 1
    _, told = module.keep_mask(logits)
    assert told == probs


def test_base_drop_prob_is_a_floor():
    """b + (1 - b) tanh(r - 1) where r > 1, 0 elsewhere: by hand."""
    logits = make_logits()
    plain = AdaptiveModalityDropout().drop_prob(logits)
    floored = AdaptiveModalityDropout(base_drop_prob=0.25).drop_prob(logits)
    ratio = dominance_ratio(confidence(logits))
    assert ratio['video'] > 1 >= ratio['audio']
    assert floored['video'].item() == pytest.approx(
        0.25 + 0.75 * plain['video'].item())
    assert floored['audio'] == plain['audio'] == 0


@pytest.mark.parametrize('make', [
    lambda: AdaptiveModalityDropout(0.5), lambda: FixedModalityDropout(0.5)])
def test_eval_is_the_identity(make):
    module = make().eval()
    logits, z = make_logits(), make_embeddings()
    for _ in range(20):
        out = module(z, logits)
        assert out.keys() == z.keys()
        assert all(torch.equal(out[m], z[m]) for m in z)
    mask, probs = module.keep_mask(logits)
    assert all(mask[m].shape == (6, 1) and (mask[m] == 1).all() for m in z)
    assert all(p == 0 for p in probs.values())


@pytest.mark.parametrize('make', [
    lambda: AdaptiveModalityDropout(0.5), lambda: FixedModalityDropout(0.5)])
def test_rows_are_kept_whole_or_dropped_whole(make):
    """A kept row is the row itself, not a multiple of it."""
    torch.manual_seed(0)
    module = make().train()
    logits, z = make_logits(), make_embeddings()
    seen = set()
    for _ in range(50):
        before = {m: v.clone() for m, v in z.items()}
        out = module(z, logits)
        assert all(torch.equal(z[m], before[m]) for m in z)  # not in place
        for m in z:
            for got, row in zip(out[m], z[m], strict=True):
                kept = torch.equal(got, row)
                assert kept or (got == 0).all()
                seen.add((m, kept))
    assert ('video', True) in seen and ('video', False) in seen


def test_dropped_rows_get_no_gradient():
    torch.manual_seed(0)
    module = FixedModalityDropout(0.5).train()
    z = {m: v.requires_grad_() for m, v in make_embeddings().items()}
    out = module(z, make_logits())
    sum(v.sum() for v in out.values()).backward()
    for m in z:
        assert torch.equal(z[m].grad, (out[m] != 0).to(z[m].dtype))
    assert any((z[m].grad == 0).any() for m in z)


def test_the_probabilities_are_constants():
    """No gradient reaches the logits: s_k is detached."""
    logits = {m: x.requires_grad_() for m, x in make_logits().items()}
    mask, probs = AdaptiveModalityDropout(0.5).train().keep_mask(logits)
    assert not any(t.requires_grad for t in (*mask.values(),
                                             *probs.values()))


@pytest.mark.parametrize('seed', range(20))
def test_the_least_confident_is_never_dropped(seed):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    scale = 6 * torch.rand(3, generator=generator)
    logits = make_logits(seed=seed, scale=scale.tolist())
    scores = confidence(logits)
    weakest = min(scores, key=lambda m: float(scores[m]))
    module = AdaptiveModalityDropout(base_drop_prob=0.9).train()
    assert module.drop_prob(logits)[weakest] == 0
    kept = draws(module, logits, 50)
    assert (kept[weakest] == 1).all()
    # so no clip is ever without a modality, and two of three may go
    count = sum(kept.values())
    assert count.min() >= 1


def test_equal_modalities_are_all_kept():
    x = make_logits()['video']
    module = AdaptiveModalityDropout(base_drop_prob=0.9).train()
    kept = draws(module, {m: x for m in NAMES}, 50)
    assert all((v == 1).all() for v in kept.values())


def test_two_of_three_may_be_dropped_together():
    torch.manual_seed(0)
    logits = make_logits(scale=(9., 8., 0.))
    kept = draws(AdaptiveModalityDropout(0.8).train(), logits, 50)
    assert (sum(kept.values()) == 1).any()


@pytest.mark.parametrize('granularity,rows', [('sample', 6), ('batch', 1)])
@pytest.mark.parametrize('cls', [AdaptiveModalityDropout,
                                 FixedModalityDropout])
def test_granularity(cls, granularity, rows):
    torch.manual_seed(0)
    module = cls(0.5, granularity).train()
    kept = draws(module, make_logits(), 60)
    for m in NAMES:
        assert kept[m].shape == (60, rows)
        assert set(kept[m].unique().tolist()) <= {0.0, 1.0}
    mixed = ((kept['video'].mean(1) > 0) & (kept['video'].mean(1) < 1)).any()
    assert mixed == (granularity == 'sample')
    out = module(make_embeddings(), make_logits())
    assert {m: tuple(v.shape) for m, v in out.items()} == {
        m: (6, d) for m, d in DIMS.items()}


@pytest.mark.parametrize('granularity', ['sample', 'batch'])
@pytest.mark.parametrize('prob', [0.5, 0.9])
def test_fixed_rate(prob, granularity):
    """p for each, less the clips that would lose all and keep one.

    All three go with p^3; one of them, each with the same chance, stays.
    """
    torch.manual_seed(0)
    module = FixedModalityDropout(prob, granularity).train()
    kept = draws(module, make_logits(), 3000)
    assert (sum(kept.values()) >= 1).all()
    expected = prob - prob**3 / 3
    for m in NAMES:
        total = kept[m].numel()
        deviation = (expected * (1 - expected) / total)**0.5
        assert abs(float(1 - kept[m].mean()) - expected) <= 4.5 * deviation
    _, told = module.keep_mask(make_logits())
    assert all(p == pytest.approx(prob) for p in told.values())


def test_fixed_at_zero_keeps_all():
    kept = draws(FixedModalityDropout(0.0).train(), make_logits(), 20)
    assert all((v == 1).all() for v in kept.values())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16,
                                   torch.float32, torch.float64])
def test_dtype_of_the_embeddings_stays(dtype):
    z = {m: v.to(dtype) for m, v in make_embeddings().items()}
    for module in (AdaptiveModalityDropout(0.5), FixedModalityDropout()):
        out = module.train()(z, make_logits())
        assert all(v.dtype == dtype for v in out.values())


def test_one_modality_is_an_error():
    logits = {'video': make_logits()['video']}
    with pytest.raises(ValueError, match='at least 2'):
        AdaptiveModalityDropout().train().keep_mask(logits)


@pytest.mark.parametrize('cls', [AdaptiveModalityDropout,
                                 FixedModalityDropout])
def test_from_a_config(cls):
    module = MODELS.build(dict(type=cls.__name__, granularity='batch'))
    assert isinstance(module, BaseModalityDropout)
    assert not list(module.parameters()) and not module.state_dict()


@pytest.mark.parametrize('make,message', [
    (lambda: AdaptiveModalityDropout(1.0), 'base_drop_prob'),
    (lambda: AdaptiveModalityDropout(-0.1), 'base_drop_prob'),
    (lambda: AdaptiveModalityDropout(granularity='clip'), "'clip'"),
    (lambda: FixedModalityDropout(1.0), 'prob'),
    (lambda: FixedModalityDropout(granularity='clip'), "'clip'"),
    (lambda: BaseModalityDropout(), 'abstract'),
])
def test_bad_settings(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
