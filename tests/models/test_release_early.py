"""Pass 1 released modality by modality: the same numbers, less memory."""
import weakref

import pytest
import torch
from norm_toy import CHANNELS, losses_of, make_model, train
from toy import total_of

from mbcd_mmaction.models import (
    DSU,
    AdaptiveModalityDropout,
    Distiller,
    LookAhead,
    WeightAverageTeacher,
)

# every source of chance on: DSU, head dropout, modality dropout
CHANCE = dict(
    dropout_ratio=0.5,
    modality_dropout=dict(type='AdaptiveModalityDropout'),
    feature_perturbation=dict(type='DSU', prob=0.5))


def with_slots(model, distill_weight=1.0, order='first'):
    teacher = WeightAverageTeacher(model, ema_decay=0.8)
    model.lookahead = LookAhead(0.3, order)
    if distill_weight is not None:
        model.distiller = Distiller(teacher.module.fused_prob, distill_weight)
    return teacher


@pytest.mark.parametrize('trunk_norm', ['frozen', 'batch'])
@pytest.mark.parametrize(('weight', 'distill_weight'), [
    (1.0, 1.0), (0.5, dict(fused=0.3, video=0.7)), (1.0, dict(fused=1.0)),
    (1.0, None), (0.0, 1.0)
])
def test_numbers_are_the_same(weight, distill_weight, trunk_norm):
    """Bit for bit, whatever is distilled, and the draws too."""
    results = []
    for release_early in (True, False):
        model = make_model(
            **CHANCE, release_early=release_early, trunk_norm=trunk_norm,
            unimodal_loss_weight=weight)
        before = [t.clone() for t in model.state_dict().values()]
        teacher = with_slots(model, distill_weight)
        logged = train(model, teacher, torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad], lr=0.05))
        tensors = [*model.state_dict().values(),
                   *teacher.module.state_dict().values()]
        results.append((logged, tensors))
        moved = [not torch.equal(a, b)
                 for a, b in zip(before, tensors, strict=False)]
        assert sum(moved) > 10
    (one, ours), (other, theirs) = results
    assert one == other
    assert list(one[0]) == list(other[0])  # the host adds them in order
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def alive_at_second_branch(release_early):
    """Whether video's pass 1 is in memory when audio's begins."""
    model = make_model(**CHANCE, release_early=release_early)
    with_slots(model)
    seen, alive = [], []
    video, audio = (model.branches[m].backbone.layer1 for m in CHANNELS)

    def watch(module, args, out):
        if not alive:
            seen.append(weakref.ref(out))

    video.register_forward_hook(watch)
    audio.register_forward_pre_hook(
        lambda *_: alive.append(seen[0]() is not None))
    total_of(losses_of(model)).backward()
    return alive[0]


def test_one_pass_1_at_a_time():
    assert not alive_at_second_branch(True)
    assert alive_at_second_branch(False)


def backward_passes(model):
    """Of one modality's last stage, in one step."""
    calls = []
    # after the first block's activation: one call a graph that is run
    model.branches['audio'].backbone.layer1.register_full_backward_hook(
        lambda *_: calls.append(1))
    total_of(losses_of(model)).backward()
    return len(calls)


@pytest.mark.parametrize(('distill_weight', 'expected'), [
    (1.0, 3), (dict(fused=1.0, video=1.0), 2), (dict(fused=1.0), 2),
    (None, 2)
])
def test_backward_passes_of_a_step(distill_weight, expected):
    """Without a term of its own a modality's inner gradient is its outer."""
    model = make_model(**CHANCE)
    with_slots(model, distill_weight)
    assert backward_passes(model) == expected


def test_other_orders_keep_pass_1():
    for order in ('second', 'penalty'):
        model = make_model(**CHANCE)
        with_slots(model, order=order)
        losses = losses_of(model)
        total_of(losses).backward()
        assert model.branches['audio'].norm.weight.grad.any()


def test_accumulated_steps():
    """Two batches before a step, as MMEngine divides and adds them."""
    grads = []
    for release_early in (True, False):
        model = make_model(**CHANCE, release_early=release_early)
        with_slots(model)
        for seed in (0, 1):
            (total_of(losses_of(model, seed)) / 2).backward()
        grads.append([p.grad for p in model.parameters()
                      if p.requires_grad])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-15)


def test_a_parameter_without_part_in_the_step_has_no_gradient():
    model = make_model(**CHANCE)
    model.branches['video'].extra = torch.nn.Parameter(torch.ones(2))
    with_slots(model)
    total_of(losses_of(model)).backward()
    assert model.branches['video'].extra.grad is None


def test_a_perturbation_that_trains_gets_its_gradient():
    class Scale(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.size = torch.nn.Parameter(torch.ones((), dtype=torch.double))

        def forward(self, x):
            return x * self.size

    grads = []
    for release_early in (True, False):
        model = make_model(**CHANCE, release_early=release_early)
        model.feature_perturbation = Scale()
        with_slots(model)
        total_of(losses_of(model)).backward()
        grads.append(model.feature_perturbation.size.grad)
    assert grads[0].abs() > 1e-6
    torch.testing.assert_close(*grads, rtol=1e-12, atol=0)


def test_the_setting_uses_what_it_names():
    """So that the comparisons above have chance in them."""
    model = make_model(**CHANCE)
    assert isinstance(model.feature_perturbation, DSU)
    assert isinstance(model.modality_dropout, AdaptiveModalityDropout)
