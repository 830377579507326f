"""The recognizer's step, hooks' slots and teacher against the oracle."""
import oracle
import pytest
import torch
from toy import (
    FixedMask,
    grads_of,
    make_batch,
    make_recognizer,
    our_name,
    total_of,
)

from mbcd_mmaction.models import (
    Distiller,
    LookAhead,
    WeightAverageTeacher,
)

DIMS = {
    2: {'flow': 3, 'audio': 5},
    3: {'video': 6, 'flow': 3, 'audio': 5},
}
STEPS = 5
INNER_LR = 0.3  # large, so that an error in the inner step shows
TOL = dict(rtol=0, atol=1e-10)


def run_ours(dims, params, order, distill_weight, ema_decay, lr, weight=1.0):
    """Five SGD steps of ours; what the oracle's trajectory holds."""
    model = make_recognizer(dims, params, unimodal_loss_weight=weight)
    model.train()
    teacher = WeightAverageTeacher(model, ema_decay=ema_decay)
    if order != 'off':
        model.lookahead = LookAhead(INNER_LR, order)
    model.distiller = Distiller(teacher.module.fused_prob, distill_weight)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=lr)
    steps = []
    for t in range(STEPS):
        model.modality_dropout = FixedMask(
            oracle.toy_keep_mask(list(dims), seed=t))
        (inputs, samples), _ = make_batch(dims, seed=t)
        losses = model(inputs, samples, mode='loss')
        optimizer.zero_grad()
        total_of(losses).backward()
        grads = {n: g.clone() for n, g in grads_of(model).items()}
        optimizer.step()
        teacher.update_parameters(model)
        steps.append((losses, grads, _copy(model), _copy(teacher.module)))
    return steps


def _copy(model):
    return {n: t.clone() for n, t in model.state_dict().items()}


@pytest.mark.parametrize('count', [2, 3])
@pytest.mark.parametrize('order', ['off', 'first', 'second', 'penalty'])
def test_five_steps_equal_the_oracle(count, order):
    dims = DIMS[count]
    modalities = list(dims)
    params = oracle.toy_params(dims, seed=count)
    setting = dict(distill_weight=0.7, ema_decay=0.9, lr=0.2)
    ours = run_ours(dims, params, order, **setting)
    theirs = oracle.train(
        params, [make_batch(dims, seed=t)[1] for t in range(STEPS)],
        [oracle.toy_keep_mask(modalities, seed=t) for t in range(STEPS)],
        modalities, INNER_LR, order, steps=STEPS, **setting)

    for t, (losses, grads, student, teacher) in enumerate(ours):
        expected = theirs.results[t]
        assert total_of(losses).item() == pytest.approx(
            expected.total, abs=1e-10)
        assert losses['loss_cls'].item() == pytest.approx(
            expected.losses['fused'], abs=1e-10)
        for term in ['fused', *modalities]:
            assert losses[f'loss_distill_{term}'].item() == pytest.approx(
                0.7 * expected.losses[f'distill_{term}'], abs=1e-10)
        for m in modalities:
            assert losses[f'loss_{m}'].item() == pytest.approx(
                expected.losses[m], abs=1e-10)
            assert losses[f'dominance_ratio_{m}'].item() == pytest.approx(
                float(expected.dominance_ratio[m]), abs=1e-10)
            assert losses[f'drop_prob_{m}'].item() == pytest.approx(
                float(expected.drop_prob[m]), abs=1e-10)
        names = {our_name(n) for n in expected.grads}
        assert names == grads.keys()  # every trainable tensor
        for name, grad in expected.grads.items():
            torch.testing.assert_close(grads[our_name(name)], grad, **TOL)
        for name, value in theirs.students[t].items():
            torch.testing.assert_close(student[our_name(name)], value, **TOL)
        for name, value in theirs.teachers[t].items():
            torch.testing.assert_close(teacher[our_name(name)], value, **TOL)


def test_separate_distillation_weights():
    dims = DIMS[3]
    params = oracle.toy_params(dims)
    weight = {'fused': 0.5, 'unimodal': 0.25}
    ours = run_ours(dims, params, 'first', weight, ema_decay=0.9, lr=0.2)
    theirs = oracle.train(
        params, [make_batch(dims, seed=t)[1] for t in range(STEPS)],
        [oracle.toy_keep_mask(list(dims), seed=t) for t in range(STEPS)],
        list(dims), INNER_LR, 'first', weight, lr=0.2, ema_decay=0.9,
        steps=STEPS)
    assert total_of(ours[-1][0]).item() == pytest.approx(
        theirs.totals[-1], abs=1e-10)


def test_first_and_second_order_differ():
    """So that the comparisons above tell them apart."""
    dims = DIMS[2]
    params = oracle.toy_params(dims)
    runs = {
        order: run_ours(dims, params, order, 0.7, ema_decay=0.9, lr=0.2)
        for order in ('off', 'first', 'second', 'penalty')
    }
    name = our_name('audio.stage_weight')
    grads = [steps[0][1][name] for steps in runs.values()]
    for i, a in enumerate(grads):
        for b in grads[i + 1:]:
            assert (a - b).abs().max() > 1e-4
