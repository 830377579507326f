"""A validation asks the teacher once for each clip, and the student never."""
import pytest
import torch
from mmengine.hooks import Hook
from toy_runner import (
    MBCD,
    MBCD_MODEL,
    ToySet,
    assert_equal,
    make_runner,
    weights,
)

from mbcd_mmaction.models import MultiModalRecognizer

EPOCHS = 2


class Teachers(Hook):
    """The teacher's weights before each validation."""

    priority = 'VERY_HIGH'  # before WATeacherDistillHook exchanges them

    def __init__(self):
        self.seen, self.students = [], []

    def before_val_epoch(self, runner):
        teacher, = (hook.ema_model for hook in runner.hooks
                    if hasattr(hook, 'ema_model'))
        self.seen.append(weights(teacher.module))
        self.students.append(weights(runner.model))


@pytest.fixture
def calls(monkeypatch):
    """(model, samples, mode) of every forward of any recognizer."""
    found = []
    forward = MultiModalRecognizer.forward

    def counted(self, inputs, data_samples=None, mode='tensor', **kwargs):
        found.append((self, len(data_samples), mode, weights(self)))
        return forward(self, inputs, data_samples, mode, **kwargs)

    monkeypatch.setattr(MultiModalRecognizer, 'forward', counted)
    return found


def test_one_forward_of_the_teacher_a_clip(tmp_path, calls):
    teachers = Teachers()
    runner = make_runner(tmp_path, [*MBCD, teachers], epochs=EPOCHS,
                         **MBCD_MODEL)
    runner.train()
    predicted = [call for call in calls if call[2] == 'predict']
    assert {id(call[0]) for call in predicted} == {id(runner.model)}
    clips = len(ToySet(seed=1))
    assert sum(call[1] for call in predicted) == EPOCHS * clips
    assert {call[2] for call in calls} == {'predict', 'loss'}
    each = len(predicted) // EPOCHS
    for number, (_, _, _, used) in enumerate(predicted):
        assert_equal(used, teachers.seen[number // each])
        student = teachers.students[number // each]
        assert any(not torch.equal(used[n], student[n]) for n in used)


def test_one_trunk_pass_a_batch(tmp_path):
    runner = make_runner(tmp_path, MBCD, **MBCD_MODEL)
    runner.test()
    calls = {branch.backbone.trunk_calls
             for branch in runner.model.branches.values()}
    assert calls == {len(runner.test_dataloader)}
    teacher, = (hook.ema_model.module for hook in runner.hooks
                if hasattr(hook, 'ema_model'))
    assert {branch.backbone.trunk_calls
            for branch in teacher.branches.values()} <= {0, *calls}


def test_the_student_is_in_the_checkpoint_for_those_who_ask(tmp_path):
    """``state_dict`` updated with ``ema_state_dict`` is the student."""
    runner = make_runner(tmp_path, MBCD, **MBCD_MODEL)
    runner.train()
    saved = torch.load(tmp_path / f'epoch_{EPOCHS}.pth', weights_only=False)
    student = dict(saved['state_dict'])
    student.update({
        name.removeprefix('module.'): value
        for name, value in saved['ema_state_dict'].items()
        if name.startswith('module.')})
    assert_equal(student, weights(runner.model))
