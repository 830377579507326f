"""Eq. 8 on MMAction2's own models, and what cannot be taught."""
import copy

import numpy as np
import pytest
import torch
from foreign_models import (
    CLASSES,
    FAMILIES,
    TwoLosses,
    batch_of,
    build,
    samples,
    two_loss_batch,
)
from scipy.special import rel_entr, softmax

from mbcd_mmaction.engine.adapters import ForeignDistiller
from mbcd_mmaction.models import WeightAverageTeacher

WEIGHT = 0.7


def average_of(model):
    """An average that is another model than the student."""
    teacher = WeightAverageTeacher(model)
    with torch.no_grad():
        for tensor in teacher.module.parameters():
            tensor.add_(0.1 * torch.randn_like(tensor))
    return teacher.module


def head_of(model):
    return model.cls_head if hasattr(model, 'cls_head') else model.head


def logits_by_hand(average, batch):
    """What a copy of the average predicts from, by branch."""
    model = copy.deepcopy(average).eval()
    said = []
    head_of(model).register_forward_hook(lambda *a: said.append(a[-1]))
    with torch.no_grad():
        model(**copied(batch), mode='predict')
    logits, = said
    return logits if isinstance(logits, dict) else {'': logits}


def copied(batch):
    inputs = batch['inputs']
    return dict(batch, inputs={k: v.clone() for k, v in inputs.items()}
                if isinstance(inputs, dict) else inputs.clone())


def student_losses(model, batch):
    """Losses, and the student's logits caught without the tap."""
    said = []
    handle = head_of(model).register_forward_hook(
        lambda *a: said.append(a[-1]))
    losses = model(**copied(batch), mode='loss')
    handle.remove()
    return losses, said[0] if isinstance(said[0], dict) else {'': said[0]}


def kl_by_scipy(prob, logits):
    """KL(teacher || student) in nats, the mean over the rows."""
    student = softmax(logits.detach().double().numpy(), axis=1)
    return rel_entr(prob, student).sum(1).mean()


def fused_by_scipy(logits):
    return np.mean([softmax(x.double().numpy(), axis=1)
                    for x in logits.values()], axis=0)


def assert_taught(model, average, batch, rows, losses, student):
    """Value and gradient of Eq. 8 by hand, one term a branch."""
    teacher = logits_by_hand(average, batch)
    prob = fused_by_scipy(teacher)
    assert prob.shape == (rows, CLASSES)
    for branch, logits in student.items():
        name = f'loss_distill_{branch}'.rstrip('_')
        expected = WEIGHT * kl_by_scipy(prob, logits)
        assert expected > 1e-4
        assert losses[name].item() == pytest.approx(expected, rel=1e-4)
        grad, = torch.autograd.grad(losses[name], logits, retain_graph=True)
        by_hand = WEIGHT / rows * (logits.softmax(1) - torch.tensor(prob))
        torch.testing.assert_close(grad.double(), by_hand.double().detach(),
                                   rtol=1e-4, atol=1e-6)
    terms = [n for n in losses if n.startswith('loss_distill')]
    assert len(terms) == len(student)


@pytest.mark.parametrize('family', FAMILIES)
def test_every_family(family):
    model = build(family)
    average = average_of(model)
    before = {n: t.clone() for n, t in average.state_dict().items()}
    distiller = ForeignDistiller(model, average, WEIGHT)
    batch = batch_of(family)
    host = set(build(family)(**copied(batch), mode='loss'))
    losses, student = student_losses(model, batch)
    assert host < set(losses)
    assert_taught(model, average, batch, 4, losses, student)
    # the student learns, the teacher does not
    sum(v for n, v in losses.items() if 'loss_distill' in n).backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert sum(bool(g.any()) for g in grads) > len(grads) / 2
    assert all(p.grad is None for p in average.parameters())
    for name, tensor in average.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    distiller.detach()
    assert set(model(**copied(batch), mode='loss')) == host


@pytest.mark.parametrize('family', ['SlowOnly', 'RGBPose'])
def test_inputs_are_as_they_came(family):
    model = build(family)
    average = average_of(model)
    ForeignDistiller(model, average, WEIGHT)
    batch = batch_of(family)
    tensors = (batch['inputs'] if isinstance(batch['inputs'], dict)
               else dict(x=batch['inputs']))
    before = {k: v.clone() for k, v in tensors.items()}
    first = {}
    for _ in range(2):
        torch.manual_seed(1)  # dropout
        given = dict(batch)
        if isinstance(batch['inputs'], dict):  # the host writes into it
            given['inputs'] = dict(batch['inputs'])
        losses = model(**given, mode='loss')
        for name, value in losses.items():
            assert torch.equal(first.setdefault(name, value), value), name
    for name, tensor in tensors.items():
        assert torch.equal(before[name], tensor)
        assert before[name].shape == tensor.shape


@pytest.mark.parametrize('family,rows', [
    ('SlowOnly', 4), ('audio', 4), ('STGCN', 4), ('RGBPose', 4), ('TSN', 1)])
def test_several_clips_a_sample(family, rows):
    """(N, S, ...) in, N * S rows out; heads with a consensus give N."""
    model = build(family)
    average = average_of(model)
    ForeignDistiller(model, average, WEIGHT)
    batch = batch_of(family, clips=1, views=4)
    # the host takes one label for each row
    batch['data_samples'] = samples(1, rows)
    losses, student = student_losses(model, batch)
    # predict() averages the rows of a sample: ask a head without
    average = copy.deepcopy(average)
    average.cls_head.average_clips = None
    assert_taught(model, average, batch, rows, losses, student)


@pytest.mark.parametrize('family,test_cfg', [
    ('SlowOnly', dict(max_testing_views=1)), ('TPN', dict(fcn_test=True)),
    ('SlowOnly', dict(fcn_test=True)),
    ('TSM', dict(fcn_test=True, num_segs=1))])
def test_settings_of_a_test_do_not_leak(family, test_cfg):
    """Dense testing is another model: the teacher speaks as in training."""
    torch.manual_seed(3)
    plain = build(family)
    dense = copy.deepcopy(plain)
    dense.test_cfg = test_cfg
    batch = batch_of(family)
    found = []
    for model in (plain, dense):
        torch.manual_seed(4)
        average = average_of(model)
        ForeignDistiller(model, average, WEIGHT)
        found.append(student_losses(model, batch)[0]['loss_distill'])
    assert torch.equal(*found)


def test_a_neck_keeps_its_own_loss():
    model = build('TPN')
    batch = batch_of('TPN')
    average = average_of(model)
    ForeignDistiller(model, average, WEIGHT)
    losses, _ = student_losses(model, batch)
    assert {'loss_cls', 'loss_aux', 'loss_distill'} <= set(losses)
    total, logged = model.parse_losses(losses)
    assert total.item() == pytest.approx(sum(
        v.item() for n, v in losses.items() if 'loss' in n), rel=1e-6)
    assert {'loss_cls', 'loss_aux', 'loss_distill'} <= set(logged)


def test_weights_by_branch_and_ramp():
    model = build('RGBPose')
    average = average_of(model)
    distiller = ForeignDistiller(model, average, 1.0)
    batch = batch_of('RGBPose')
    torch.manual_seed(1)
    whole, _ = student_losses(model, batch)
    distiller.weight, distiller.ramp = dict(pose=0.5), 0.5
    torch.manual_seed(1)
    part, _ = student_losses(model, batch)
    assert 'loss_distill_rgb' in whole and 'loss_distill_rgb' not in part
    assert part['loss_distill_pose'].item() == pytest.approx(
        0.25 * whole['loss_distill_pose'].item(), rel=1e-5)
    distiller.weight = dict(sound=1.0)
    with pytest.raises(ValueError, match=r"\['sound'\].*pose.*rgb"):
        student_losses(model, batch)


@pytest.mark.parametrize('trained,untrained', [('rgb', 'pose'),
                                               ('pose', 'rgb')])
def test_a_branch_without_a_loss_neither_teaches_nor_learns(trained,
                                                            untrained):
    """RGBPoseHead answers for both, whatever its loss_components."""
    model = build('RGBPose', loss_components=[trained], loss_weights=[1.0])
    average = average_of(model)
    distiller = ForeignDistiller(model, average, WEIGHT)
    batch = batch_of('RGBPose')
    losses, student = student_losses(model, batch)
    # predict() goes through the same loss_components; forward does not
    assert set(student) == {'rgb', 'pose'}
    teacher = logits_by_hand(average, batch)
    prob = fused_by_scipy({trained: teacher[trained]})
    assert {n for n in losses if 'distill' in n} == {
        f'loss_distill_{trained}'}
    assert losses[f'loss_distill_{trained}'].item() == pytest.approx(
        WEIGHT * kl_by_scipy(prob, student[trained]), rel=1e-4)
    sum(v for n, v in losses.items() if 'loss' in n).backward()
    layer = getattr(model.cls_head, f'fc_{untrained}')
    assert layer.weight.grad is None
    distiller.weight = {untrained: 1.0}
    with pytest.raises(ValueError, match=untrained):
        student_losses(model, batch)


def test_a_model_of_other_keywords_is_not_asked_for_a_stage():

    class Keywords(TwoLosses):

        def forward(self, inputs, data_samples=None, mode='tensor', **kwargs):
            assert not kwargs
            return super().forward(inputs, data_samples, mode)

    model = Keywords().train()
    ForeignDistiller(model, average_of(model), 1.0)
    assert 'loss_distill' in model(**two_loss_batch(), mode='loss')


def test_a_single_branch_is_called_fused():
    model = TwoLosses().train()
    distiller = ForeignDistiller(model, average_of(model), dict(fused=2.0))
    batch = two_loss_batch()
    assert 'loss_distill' in model(**batch, mode='loss')
    distiller.weight = dict(rgb=1.0)
    with pytest.raises(ValueError, match='fused'):
        model(**batch, mode='loss')


def test_a_model_of_ten_lines():
    model = TwoLosses(dropout=0.5).train()
    average = average_of(model)
    ForeignDistiller(model, average, WEIGHT)
    batch = two_loss_batch()
    losses, student = student_losses(model, batch)
    assert list(losses) == ['loss_cls', 'loss_second', 'loss_distill']
    assert_taught(model, average, batch, 6, losses, student)


def test_labels_may_be_a_required_argument():
    """MMEngine's tutorial model: forward(self, imgs, labels, mode)."""

    class Tutorial(TwoLosses):

        def forward(self, imgs, labels, mode):
            return super().forward(imgs, labels, mode)

    model = Tutorial().train()
    ForeignDistiller(model, average_of(model), 1.0)
    batch = two_loss_batch()
    losses = model(batch['inputs'], batch['data_samples'], mode='loss')
    assert 'loss_distill' in losses


def test_the_module_can_be_named():
    model = TwoLosses().train()
    average = average_of(model)
    ForeignDistiller(model, average, 1.0, logits_from='second_head')
    batch = two_loss_batch()
    losses = model(**batch, mode='loss')
    second = model.second_head(model.backbone(batch['inputs']))
    prob = fused_by_scipy({'': average(batch['inputs'])})
    assert losses['loss_distill'].item() == pytest.approx(
        kl_by_scipy(prob, second), rel=1e-4)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_logits_are_compared_in_single_precision(dtype):
    model = TwoLosses().train()
    average = average_of(model)
    ForeignDistiller(model, average, 1.0)
    batch = two_loss_batch()
    with torch.autocast('cpu', dtype):
        losses, student = student_losses(model, batch)
        said = average(batch['inputs'])
    assert student[''].dtype == said.dtype == dtype
    assert losses['loss_distill'].dtype == torch.float32
    prob = fused_by_scipy({'': said})
    assert losses['loss_distill'].item() == pytest.approx(
        kl_by_scipy(prob, student['']), rel=1e-3)
