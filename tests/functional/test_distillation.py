"""Eq. 8: distillation from the averaged model."""
import math

import oracle
import pytest
import torch
from scipy.stats import entropy

from mbcd_mmaction.functional.distillation import kl_divergence


def draw(seed, num=5, classes=4, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(num, classes, generator=generator,
                                dtype=torch.float64)


def test_two_classes_by_hand():
    """Teacher (3/4, 1/4), student uniform."""
    teacher = torch.tensor([[.75, .25]], dtype=torch.float64)
    got = kl_divergence(teacher, torch.zeros(1, 2, dtype=torch.float64))
    assert got.shape == ()
    expected = .75 * math.log(1.5) + .25 * math.log(.5)
    assert got.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('num, classes', [(1, 2), (5, 4), (3, 8)])
def test_equals_scipy_and_loops(seed, num, classes):
    teacher = draw(seed, num, classes).softmax(1)
    student = draw(seed + 50, num, classes)
    got = kl_divergence(teacher, student).item()
    rows = entropy(teacher.numpy(), student.softmax(1).numpy(), axis=1)
    assert got == pytest.approx(rows.mean(), rel=1e-10)
    assert got == pytest.approx(
        oracle.kl_divergence(teacher, student).item(), rel=1e-10)
    assert got > 0


def test_is_a_mean_over_the_batch():
    teacher, student = draw(0).softmax(1), draw(1)
    once = kl_divergence(teacher, student).item()
    twice = kl_divergence(torch.cat([teacher] * 2), torch.cat([student] * 2))
    assert twice.item() == pytest.approx(once, rel=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_student_equal_to_teacher_gives_zero(seed):
    logits = draw(seed)
    assert abs(kl_divergence(logits.softmax(1), logits).item()) < 1e-14
    shifted = kl_divergence(logits.softmax(1), logits + 7)
    assert abs(shifted.item()) < 1e-12


@pytest.mark.parametrize('seed', range(3))
def test_swapped_arguments_differ(seed):
    one, two = draw(seed), draw(seed + 9)
    forward = kl_divergence(one.softmax(1), two).item()
    backward = kl_divergence(two.softmax(1), one).item()
    assert abs(forward - backward) > 1e-3


def test_certain_teacher_is_cross_entropy():
    """0 log 0 is 0, in the value and in the gradient."""
    labels = torch.tensor([2, 0, 3, 1, 1])
    student = draw(3).requires_grad_()
    teacher = torch.nn.functional.one_hot(labels, 4).double()
    loss = kl_divergence(teacher, student)
    expected = torch.nn.functional.cross_entropy(student, labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    assert torch.isfinite(student.grad).all()


def test_sure_and_wrong_student_is_finite():
    student = torch.tensor([[1e4, 0.0]], requires_grad=True)
    loss = kl_divergence(torch.tensor([[.5, .5]]), student)
    loss.backward()
    assert loss.item() == pytest.approx(5e3, rel=1e-3)
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize('seed', range(3))
def test_gradient_is_student_minus_teacher_over_n(seed):
    teacher, student = draw(seed).softmax(1), draw(seed + 5).requires_grad_()
    kl_divergence(teacher, student).backward()
    expected = (student.detach().softmax(1) - teacher) / len(teacher)
    torch.testing.assert_close(student.grad, expected, rtol=1e-9, atol=1e-12)


def test_nothing_reaches_the_teacher():
    teacher_logits = draw(0).requires_grad_()
    student = draw(1).requires_grad_()
    kl_divergence(teacher_logits.softmax(1), student).backward()
    assert student.grad.any()
    assert teacher_logits.grad is None


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match='(?s)5, 4.*5, 3'):
        kl_divergence(draw(0).softmax(1), draw(1, classes=3))


def test_gradient_reaches_the_student_and_not_the_teacher():
    teacher, student = draw(0).requires_grad_(), draw(1).requires_grad_()
    kl_divergence(teacher.softmax(1), student).backward()
    assert teacher.grad is None
    assert student.grad.any()


def test_arguments_are_left_alone():
    teacher, student = draw(0).softmax(1), draw(1)
    kept = [t.clone() for t in (teacher, student)]
    kl_divergence(teacher, student)
    for before, after in zip(kept, (teacher, student), strict=True):
        assert torch.equal(before, after)
