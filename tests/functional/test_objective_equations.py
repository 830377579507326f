"""The losses of other methods, by hand and against plain loops."""
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from mbcd_mmaction import functional as fn


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def test_norm_alignment_by_hand():
    # batch means of the norms: 5, 10
    a = torch.tensor([[3., 4.], [0., 5.]])
    b = torch.tensor([[6., 8., 0.], [0., 0., 10.]])
    assert fn.relative_norm_alignment([a, b]) == 0.25
    assert fn.relative_norm_alignment([b, a]) == 1.0
    # the norms' mean, not the mean of their ratios: 4 and 4 are aligned
    a, b = torch.tensor([[1.], [7.]]), torch.tensor([[4.], [4.]])
    assert fn.relative_norm_alignment([a, b]) == 0


def test_norm_alignment_by_loops():
    z = [draw(4, 3), draw(4, 5), draw(4, 2)]
    norms = [np.mean([math.sqrt(sum(x * x for x in row.tolist()))
                      for row in m]) for m in z]
    expected = np.mean([(a / b - 1)**2
                        for a, b in itertools.combinations(norms, 2)])
    assert fn.relative_norm_alignment(z).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match='two or more'):
        fn.relative_norm_alignment(z[:1])


def test_contrast_by_hand():
    # Two clips of two classes, both modalities agree, classes orthogonal: an
    # anchor has similarities 1 (its positive), 0 and 0.
    x = torch.eye(2).expand(2, 2, 2)
    found = fn.supervised_contrastive(x, torch.tensor([0, 1]), 1.0, 1.0)
    expected = math.log(math.e + 2) - 1
    assert found.item() == pytest.approx(expected, rel=1e-6)
    scaled = fn.supervised_contrastive(x, torch.tensor([0, 1]), 1.0, 0.5)
    assert scaled.item() == pytest.approx(2 * expected, rel=1e-6)


def test_contrast_by_loops():
    x, labels = unit(draw(3, 5, 4)), torch.tensor([0, 1, 0, 2, 1])
    flat = [(x[v, n].numpy(), int(labels[n]))
            for v in range(3) for n in range(5)]
    total = 0.
    for i, (a, y) in enumerate(flat):
        others = [j for j in range(15) if j != i]
        bottom = sum(math.exp(a @ flat[j][0] / .1) for j in others)
        terms = [math.log(math.exp(a @ flat[j][0] / .1) / bottom)
                 for j in others if flat[j][1] == y]
        total -= .1 / .07 * sum(terms) / len(terms) / 15
    found = fn.supervised_contrastive(x, labels)
    assert found.item() == pytest.approx(total)


def test_contrast_without_positives_is_zero():
    x = unit(draw(1, 3, 4)).requires_grad_()
    loss = fn.supervised_contrastive(x, torch.arange(3))
    loss.backward()
    assert loss == 0 and x.grad.isfinite().all()
    with pytest.raises(ValueError, match=r'\(V, N, D\)'):
        fn.supervised_contrastive(x[0], torch.arange(3))


def test_direction_distance():
    a = torch.tensor([[2., 0.], [0., 3.]])
    b = torch.tensor([[0., 5.], [0., 1.]])
    assert fn.direction_distance(a, b).item() == pytest.approx(
        math.sqrt(2) / 2)
    a, b = draw(4, 3).requires_grad_(), draw(4, 3).requires_grad_()
    cosine = torch.nn.functional.cosine_similarity(a, b)
    expected = (2 - 2 * cosine).sqrt().mean()
    torch.testing.assert_close(fn.direction_distance(a, b), expected)
    fn.direction_distance(a, b).backward()
    assert a.grad.any() and b.grad.any()
    with pytest.raises(ValueError, match='one shape'):
        fn.direction_distance(a, b[:, :2])


def test_distance_of_equals_has_a_gradient():
    a = draw(2, 3).requires_grad_()
    fn.direction_distance(a, a.detach().clone()).backward()
    assert a.grad.isfinite().all()


def test_split_distance():
    z = torch.tensor([[1., 2., 3., 6.], [0., 0., 0., 2.]])
    assert fn.split_distance(z) == (4 + 16 + 0 + 4) / 4
    z = draw(3, 6)
    assert fn.split_distance(z).item() == pytest.approx(
        np.mean((z.numpy()[:, :3] - z.numpy()[:, 3:])**2))
    with pytest.raises(ValueError, match='even, got 5'):
        fn.split_distance(draw(2, 5))


def test_mixed_targets_stay_nearer_their_own():
    own, other = torch.tensor([[1., 0.]] * 2), torch.tensor([[0., 1.]] * 2)
    mixed = fn.mix_projections(own, other, torch.tensor([0.25, 0.75]))
    assert mixed.tolist() == [[0.75, 0.25]] * 2
    draws = torch.rand(500)
    mixed = fn.mix_projections(own[:1], other[:1], draws)
    assert (mixed[:, 0] >= 0.5).all()
    torch.testing.assert_close(mixed.sum(1), torch.ones(500))


def test_entropies_are_scipys():
    logits = draw(5, 4)
    np.testing.assert_allclose(fn.prediction_entropy(logits),
                               entropy(logits.softmax(1), axis=1))
    sure = torch.tensor([[200., 0.]], requires_grad=True)
    fn.prediction_entropy(sure).sum().backward()
    assert sure.grad.isfinite().all()


def test_entropy_weights_are_per_sample():
    even, sure = [0., 0.], [0., math.log(1e6)]
    heads = [torch.tensor([even, sure]), torch.tensor([sure, even])]
    weights = fn.entropy_weights(heads)
    # entropies log 2 and about 0: weights 1/3 and 2/3, the other way round
    # in the other sample
    assert weights.tolist() == [pytest.approx([1 / 3, 2 / 3], abs=1e-4),
                                pytest.approx([2 / 3, 1 / 3], abs=1e-4)]


def test_entropy_weighted_loss_by_loops():
    heads, labels = [draw(4, 3) for _ in range(3)], torch.tensor([0, 2, 1, 1])
    total = 0.
    for n, y in enumerate(labels):
        prob = [h[n].softmax(0).numpy() for h in heads]
        weight = np.exp([-entropy(p) / 2 for p in prob])
        weight /= weight.sum()
        total += sum(-w * math.log(p[y])
                     for w, p in zip(weight, prob, strict=True)) / 4
    found = fn.entropy_weighted_loss(heads, labels, temperature=2.0)
    assert found.item() == pytest.approx(total)


def test_permutations_are_sampled_never_enumerated(monkeypatch):
    def refuse(*_):
        raise AssertionError('enumerates')
    monkeypatch.setattr(itertools, 'permutations', refuse)
    calls, randperm = [], torch.randperm
    monkeypatch.setattr(torch, 'randperm', lambda *a, **k: (
        calls.append(1), randperm(*a, **k))[1])
    found = fn.sample_permutations(12, 128, seed=0)
    assert len(calls) < 140
    assert len({tuple(row) for row in found.tolist()}) == 128
    assert (found.sort(1).values == torch.arange(12)).all()


def test_permutations_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    a, b, c = (fn.sample_permutations(6, 20, s) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(before, torch.get_rng_state())
    with torch.device('meta'):  # a model that is built without memory
        assert torch.equal(a, fn.sample_permutations(6, 20, 1))
    assert len(fn.sample_permutations(3, 6, 0)) == 6
    with pytest.raises(ValueError, match='6 permutations'):
        fn.sample_permutations(3, 7, 0)


def test_puzzles_by_hand():
    z = [torch.tensor([[1., 2.], [5., 6.]]), torch.tensor([[3., 4.]] * 2)]
    puzzles, targets = fn.jigsaw_puzzles(
        z, 2, [[0, 1, 2, 3], [3, 0, 2, 1]])
    assert puzzles.tolist() == [[1, 2, 3, 4], [5, 6, 3, 4],
                                [4, 1, 3, 2], [4, 5, 3, 6]]
    assert targets.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match='3 equal parts'):
        fn.jigsaw_puzzles(z, 3, [[0, 1]])
