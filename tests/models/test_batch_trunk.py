"""trunk_norm against the released step, written out plainly.

The released step runs whole networks: the trunk in pass 1, again in pass 2
on a full clone, and a third time in the teacher, which averages its whole
state dict. Everything here is a flat dict of float64 tensors and calls
nothing of the package but the model under test.
"""
import pytest
import torch
import torch.nn.functional as F
from norm_toy import RATE, make_batch, make_model
from toy import FixedMask, make_samples, total_of

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher

SETTING = dict(inner_lr=0.3, distill_weight=0.7, ema_decay=0.8, lr=0.2)
TOL = dict(rtol=0, atol=1e-12)


# ---- the released step -------------------------------------------------


def block(state, lead, x, training):
    """Convolution, BatchNorm (its statistics move in place), tanh."""
    x = F.conv1d(x, state[f'{lead}.0.weight'], padding=1)
    x = F.batch_norm(
        x, state[f'{lead}.1.running_mean'], state[f'{lead}.1.running_var'],
        state[f'{lead}.1.weight'], state[f'{lead}.1.bias'], training, RATE,
        1e-5)
    return torch.tanh(x)


def encode(state, m, x, trunk_training, training):
    """A whole network: trunk, last stage, pool, LayerNorm."""
    lead = f'branches.{m}'
    x = block(state, f'{lead}.backbone.conv1', x, trunk_training)
    x = block(state, f'{lead}.backbone.layer1', x, training)
    return F.layer_norm(
        x.mean(2), x.shape[1:2], state[f'{lead}.norm.weight'],
        state[f'{lead}.norm.bias'], 1e-5)


def classify(state, lead, z):
    hidden = F.relu(F.linear(z, state[f'{lead}.layers.0.weight'],
                             state[f'{lead}.layers.0.bias']))
    return F.linear(hidden, state[f'{lead}.layers.3.weight'],
                    state[f'{lead}.layers.3.bias'])


def kl(teacher_prob, logits):
    log_ratio = teacher_prob.log() - logits.log_softmax(1)
    return (teacher_prob * log_ratio).sum() / len(logits)


def trains(name):
    return 'running' not in name and 'conv1' not in name


def released_step(student, teacher, batch, looks_ahead, trunk_training):
    """Three trunk passes, full clones, the average of the state dict."""
    inputs, labels, mask = batch
    train = {n: t.requires_grad_() for n, t in student.items() if trains(n)}
    # pass 1, whole networks
    z = {m: encode(student, m, x, trunk_training, True)
         for m, x in inputs.items()}
    logits = {m: classify(student, f'unimodal_heads.{m}', z[m]) for m in z}
    losses = {m: F.cross_entropy(v, labels) for m, v in logits.items()}
    if looks_ahead:
        # pass 2, whole networks again, on clones after their own step; the
        # clones' statistics are the network's
        for m in inputs:
            own = [n for n in train if n.startswith(f'branches.{m}.')]
            grads = torch.autograd.grad(
                losses[m], [train[n] for n in own], retain_graph=True)
            clone = dict(student)
            for n, g in zip(own, grads, strict=True):
                clone[n] = student[n] - SETTING['inner_lr'] * g
            z[m] = encode(clone, m, inputs[m], trunk_training, True)
    fused = classify(student, 'fusion_head',
                     torch.cat([z[m] * mask[m] for m in z], 1))
    losses['cls'] = F.cross_entropy(fused, labels)
    # the teacher, a whole network in eval mode
    with torch.no_grad():
        prob = classify(teacher, 'fusion_head', torch.cat(
            [encode(teacher, m, inputs[m], False, False) for m in inputs],
            1)).softmax(1)
    for name, out in dict(logits, fused=fused).items():
        losses[f'distill_{name}'] = SETTING['distill_weight'] * kl(prob, out)
    grads = torch.autograd.grad(sum(losses.values()), list(train.values()))
    with torch.no_grad():
        for name, grad in zip(train, grads, strict=True):
            student[name] = student[name] - SETTING['lr'] * grad
        for name in teacher:  # all of it
            teacher[name] = (SETTING['ema_decay'] * teacher[name] +
                             (1 - SETTING['ema_decay']) * student[name])
    return losses


# ---- ours --------------------------------------------------------------


def state_of(model):
    return {n: t.detach().clone() for n, t in model.state_dict().items()
            if 'num_batches' not in n}


def compare(model, teacher, optimizer, student, averaged, looks_ahead,
            trunk_training, steps=3):
    """Both ways over some steps: losses, weights, running statistics."""
    for seed in range(steps):
        batch = inputs, labels, mask = make_batch(seed)
        model.modality_dropout = FixedMask(mask)
        losses = model({m: x[:, None] for m, x in inputs.items()},
                       make_samples(labels), mode='loss')
        optimizer.zero_grad()
        total_of(losses).backward()
        optimizer.step()
        teacher.update_parameters(model)
        expected = released_step(student, averaged, batch, looks_ahead,
                                 trunk_training)
        for name, value in expected.items():
            torch.testing.assert_close(losses[f'loss_{name}'], value, **TOL)
        for ours, theirs in ((model, student), (teacher.module, averaged)):
            got = state_of(ours)
            assert got.keys() == theirs.keys()
            for name, value in theirs.items():
                torch.testing.assert_close(got[name], value.detach(), **TOL)


def set_up(trunk_norm, looks_ahead):
    model = make_model(trunk_norm=trunk_norm)
    teacher = WeightAverageTeacher(model, ema_decay=SETTING['ema_decay'])
    if looks_ahead:
        model.lookahead = LookAhead(SETTING['inner_lr'])
    model.distiller = Distiller(teacher.module.fused_prob,
                                SETTING['distill_weight'])
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad],
        lr=SETTING['lr'])
    return model, teacher, optimizer


@pytest.mark.parametrize('trunk_norm', ['batch', 'frozen'])
@pytest.mark.parametrize('looks_ahead', [True, False])
def test_equals_the_released_step(trunk_norm, looks_ahead):
    """'frozen' is the released step with its trunk in eval mode."""
    model, teacher, optimizer = set_up(trunk_norm, looks_ahead)
    start = state_of(model)
    student, averaged = state_of(model), state_of(model)
    compare(model, teacher, optimizer, student, averaged, looks_ahead,
            trunk_training=trunk_norm == 'batch')
    moved = {n for n, t in state_of(model).items()
             if not torch.equal(t, start[n])}
    drifts = any('conv1.1.running' in name for name in moved)
    assert drifts == (trunk_norm == 'batch')
    assert any('layer1.1.running' in name for name in moved)
    a = dict(model.named_buffers())['branches.video.backbone.conv1.1.'
                                    'running_mean']
    b = dict(teacher.module.named_buffers())['branches.video.backbone.conv1.'
                                             '1.running_mean']
    assert (a.data_ptr() == b.data_ptr()) == (trunk_norm == 'frozen')


def test_the_modes_differ():
    """So that the comparison above tells them apart."""
    losses = []
    for trunk_norm in ('batch', 'frozen'):
        model, _, _ = set_up(trunk_norm, True)
        inputs, labels, _ = make_batch(0)
        losses.append(total_of(model(
            {m: x[:, None] for m, x in inputs.items()},
            make_samples(labels), mode='loss')).item())
    assert abs(losses[0] - losses[1]) > 1e-3


def test_trunk_passes_of_a_step():
    """One for the student, one for the teacher; frozen: one for both."""
    for trunk_norm, expected in (('batch', 2), ('frozen', 1)):
        model, teacher, _ = set_up(trunk_norm, True)
        calls = []
        for owner in (model, teacher.module):
            owner.branches['video'].backbone.conv1.register_forward_hook(
                lambda *_, calls=calls: calls.append(1))
        inputs, labels, _ = make_batch(0)
        model({m: x[:, None] for m, x in inputs.items()},
              make_samples(labels), mode='loss')
        assert len(calls) == expected


def test_evaluation_moves_no_statistics():
    model, _, _ = set_up('batch', True)
    model.eval()
    before = state_of(model)
    inputs, labels, _ = make_batch(0)
    model({m: x[:, None] for m, x in inputs.items()},
          make_samples(labels), mode='loss')
    model({m: x[:, None] for m, x in inputs.items()}, mode='predict')
    assert all(torch.equal(t, before[n]) for n, t in state_of(model).items())


def test_statistics_rate_survives_an_error():
    model, _, _ = set_up('batch', True)
    branch = model.branches['video']
    with pytest.raises(RuntimeError):
        branch.trunk(torch.zeros(2, 9, 5).double(), passes=2)
    assert branch.backbone.conv1[1].momentum == RATE
