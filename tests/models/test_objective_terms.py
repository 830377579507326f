"""Each method's weighted terms against plain loops, in float64."""
import copy
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from mbcd_mmaction.models.objectives import (
    CMRF,
    MOOSA,
    AveragedNetwork,
    RNANet,
    SimMMDG,
    TrainingBatch,
)

DIMS = dict(video=6, flow=4, audio=2)
CLIPS, CLASSES = 5, 3
SMALL = dict(hidden_dims=7, projection_dims=3)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def make(cls, **kwargs):
    return cls(embed_dims=DIMS, num_classes=CLASSES, **kwargs).double()


@pytest.fixture
def batch():
    heads = {m: draw(CLIPS, CLASSES) for m in DIMS}
    return TrainingBatch(
        embeddings={m: draw(CLIPS, d).requires_grad_()
                    for m, d in DIMS.items()},
        unimodal_logits=heads, fused_logits=draw(CLIPS, CLASSES),
        labels=torch.tensor([0, 2, 0, 1, 2]), fuse=None, averaged=None,
        averaged_embeddings=lambda: pytest.fail('not asked for'))


def array(tensor):
    return tensor.detach().numpy()


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def through(layers, x, training=True):
    """A stack of layers, row by row; dropout is off."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            weight, bias = array(layer.weight), array(layer.bias)
            x = np.stack([weight @ row + bias for row in x])
        elif isinstance(layer, nn.BatchNorm1d):
            mean, var = (x.mean(0), x.var(0)) if training else (
                array(layer.running_mean), array(layer.running_var))
            x = (x - mean) / np.sqrt(var + layer.eps)
            x = x * array(layer.weight) + array(layer.bias)
        elif isinstance(layer, nn.ReLU):
            x = np.maximum(x, 0)
        else:
            assert isinstance(layer, nn.Dropout) and not layer.training
    return x


def cross_entropy(logits, label):
    """Of one clip."""
    scores = np.exp(logits)
    return -math.log(scores[label] / scores.sum())


def mean_cross_entropy(logits, labels):
    return np.mean([cross_entropy(row, y) for row, y in zip(
        array(logits), labels.tolist(), strict=True)])


def contrast(projections, labels):
    """Supervised contrastive loss over all modalities and clips."""
    flat = [(row, y) for x in projections
            for row, y in zip(x, labels.tolist(), strict=True)]
    total = 0.
    for i, (a, y) in enumerate(flat):
        others = [pair for j, pair in enumerate(flat) if j != i]
        bottom = sum(math.exp(a @ b / .1) for b, _ in others)
        terms = [math.log(math.exp(a @ b / .1) / bottom)
                 for b, label in others if label == y]
        total -= sum(terms) / len(terms) / len(flat)
    return .1 / .07 * total


def apart(first, second):
    """Mean distance of two directions."""
    return np.mean([math.sqrt(sum((a - b)**2)) for a, b in zip(
        unit(first), unit(second), strict=True)])


def split_terms(objective, batch):
    """What SimMMDG adds, and MOOSA too."""
    z = {m: array(x) for m, x in batch.embeddings.items()}
    shared = [unit(through(objective.projections[m].layers,
                           z[m][:, :DIMS[m] // 2])) for m in DIMS]
    distances = [apart(through(objective.translators[f'{a}_to_{b}'], z[a]),
                       z[b]) for a, b in itertools.permutations(DIMS, 2)]
    halves = [np.mean((x[:, :d // 2] - x[:, d // 2:])**2)
              for x, d in zip(z.values(), DIMS.values(), strict=True)]
    return dict(loss_translation=.1 * sum(distances) / 6,
                loss_contrast=3 * contrast(shared, batch.labels),
                loss_split=-.7 * sum(halves) / 3)


def check(losses, expected):
    assert {name: value.item() for name, value in losses.items()} == {
        name: pytest.approx(value, rel=1e-9)
        for name, value in expected.items()}


def test_rna_net(batch):
    norms = [np.mean([math.sqrt(sum(row**2)) for row in array(z)])
             for z in batch.embeddings.values()]
    video, flow, audio = norms
    pairs = (video / flow, video / audio, flow / audio)
    check(make(RNANet).losses(batch), dict(
        loss_cls=mean_cross_entropy(batch.fused_logits, batch.labels),
        loss_norm=sum((ratio - 1)**2 for ratio in pairs) / 3))


def test_simmmdg(batch):
    objective = make(SimMMDG, **SMALL)
    objective.translators.eval()
    check(objective.losses(batch), dict(
        loss_cls=mean_cross_entropy(batch.fused_logits, batch.labels),
        **split_terms(objective, batch)))


def test_moosa(batch):
    objective = make(MOOSA, num_permutations=5, mask_ratio=0.0, **SMALL)
    objective.translators.eval()
    heads = [array(x) for x in (*batch.unimodal_logits.values(),
                                batch.fused_logits)]
    surprise, weighted = [], []
    for n, y in enumerate(batch.labels.tolist()):
        own = [entropy(np.exp(h[n]) / np.exp(h[n]).sum()) for h in heads]
        weight = np.exp([-value for value in own])
        weighted.append(sum(w * cross_entropy(h[n], y) for w, h in zip(
            weight / weight.sum(), heads, strict=True)))
        surprise += own
    jigsaw = []
    for q, order in enumerate(objective.permutations):
        for n in range(CLIPS):
            parts = [part for z in batch.embeddings.values()
                     for part in np.split(array(z)[n], 2)]
            puzzle = np.concatenate([parts[i] for i in order])
            scores = through(objective.jigsaw_head, puzzle[None])[0]
            jigsaw.append(cross_entropy(scores, q))
    check(objective.losses(batch), dict(
        loss_cls=np.mean(weighted), loss_jigsaw=np.mean(jigsaw),
        loss_entropy=.001 * np.mean(surprise),
        **split_terms(objective, batch)))


def older(objective):
    """An averaged network of other weights and running statistics."""
    copied = copy.deepcopy(objective).eval()
    with torch.no_grad():
        for tensor in itertools.chain(copied.parameters(), copied.buffers()):
            if tensor.is_floating_point():
                tensor += torch.rand_like(tensor)
    return copied


def test_cmrf(batch, monkeypatch):
    objective = make(CMRF, **SMALL)
    teacher, before = older(objective), {m: draw(CLIPS, d)
                                         for m, d in DIMS.items()}
    batch.averaged = AveragedNetwork(SimpleNamespace(objective=teacher), True)
    batch.averaged_embeddings = lambda: before
    shares = list(torch.rand(6, CLIPS, dtype=torch.float64))
    draws = iter(shares)

    def sample(self, shape):
        assert self.concentration1 == self.concentration0 == .1
        return next(draws)
    monkeypatch.setattr(torch.distributions.Beta, 'sample', sample)
    losses = objective.losses(batch)

    own = {m: unit(through(objective.projections[m].layers, array(z)))
           for m, z in batch.embeddings.items()}
    past = {m: unit(through(teacher.projections[m].layers, array(z), False))
            for m, z in before.items()}
    distill = 0.
    for (a, b), draw_ in zip(itertools.permutations(DIMS, 2), shares,
                             strict=True):
        # above one half: nearer the modality that is taught
        share = [max(x, 1 - x) for x in draw_.tolist()]
        mixed = np.stack([s * x + (1 - s) * y for s, x, y in zip(
            share, past[a], past[b], strict=True)])
        distill += (.5 if a == 'audio' else 1) * apart(own[a], mixed)
    heads = {m: mean_cross_entropy(x, batch.labels)
             for m, x in batch.unimodal_logits.items()}
    check(losses, dict(
        loss_cls=mean_cross_entropy(batch.fused_logits, batch.labels),
        loss_video=2 * heads['video'], loss_flow=2 * heads['flow'],
        loss_audio=2 * .5 * heads['audio'],
        loss_contrast=3 * contrast(own.values(), batch.labels),
        loss_distill=3 * distill))

    losses['loss_distill'].backward()
    assert all(z.grad.any() for z in batch.embeddings.values())
    assert all(p.grad is None for p in teacher.parameters())
