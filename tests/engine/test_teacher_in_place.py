"""Which weights are where: after training, errors and repeated runs."""
import weakref

import pytest
import torch
from mmengine.hooks import Hook
from toy_runner import (
    MBCD,
    MBCD_MODEL,
    assert_equal,
    make_runner,
    weights,
)


def hook_of(runner):
    return next(h for h in runner.hooks if hasattr(h, 'ema_model'))


class Trip(Hook):
    """Raises once in the middle of a validation."""

    priority = 'LOWEST'

    def __init__(self):
        self.armed = True

    def after_val_iter(self, runner, batch_idx, data_batch=None,
                       outputs=None):
        if self.armed and batch_idx == 1:
            self.armed = False
            raise OSError('a clip cannot be read')


def differ(a, b):
    return any(not torch.equal(a[n], b[n]) for n in a)


def test_a_test_after_training_sees_the_teacher(tmp_path):
    """With one Runner: train(), then test(), without a checkpoint."""
    runner = make_runner(tmp_path, MBCD, **MBCD_MODEL)
    runner.train()
    teacher = weights(hook_of(runner).ema_model.module)
    student = weights(runner.model)
    assert differ(teacher, student)
    seen = {}

    class Peek(Hook):
        priority = 'LOWEST'

        def before_test_iter(self, runner, batch_idx, data_batch=None):
            seen['test'] = weights(runner.model)

    runner.register_hook(Peek())
    runner.test()
    assert_equal(seen['test'], teacher)
    assert_equal(weights(runner.model), student)
    assert_equal(weights(hook_of(runner).ema_model.module), teacher)


def test_testing_before_training_changes_nothing(tmp_path):
    runs = []
    for i in range(2):
        runner = make_runner(tmp_path / str(i), MBCD, epochs=1, **MBCD_MODEL)
        if i:
            runner.test()
        runner.train()
        runs.append((weights(runner.model),
                     hook_of(runner).ema_model.state_dict()))
    assert_equal(runs[0][0], runs[1][0])
    assert_equal(runs[0][1], runs[1][1])


def test_validation_after_an_interrupted_one(tmp_path):
    """Whoever catches the error can validate, train and save again."""
    runner = make_runner(tmp_path, [*MBCD, Trip()], epochs=1, **MBCD_MODEL)
    with pytest.raises(OSError, match='cannot be read'):
        runner.train()
    whole = make_runner(tmp_path / 'whole', MBCD, epochs=1, **MBCD_MODEL)
    whole.train()
    teacher = weights(hook_of(whole).ema_model.module)
    student = weights(whole.model)
    # once more: the teacher must predict, and then be taken out again
    for metric in runner.val_evaluator.metrics:
        metric.results.clear()  # the host keeps the interrupted loop's
    metrics = runner.val()
    assert metrics == whole.val()
    assert_equal(weights(runner.model), student)
    assert_equal(weights(hook_of(runner).ema_model.module), teacher)


def test_training_after_an_interrupted_validation(tmp_path):
    runner = make_runner(tmp_path, [*MBCD, Trip()], epochs=2, **MBCD_MODEL)
    with pytest.raises(OSError):
        runner.train()
    hook = hook_of(runner)
    teacher = weights(runner.model)  # it is in place
    hook.before_train_iter(runner, 0)
    assert_equal(weights(hook.ema_model.module), teacher)
    assert differ(weights(runner.model), teacher)


def test_a_checkpoint_saved_after_an_interrupted_validation(tmp_path):
    runner = make_runner(tmp_path, [*MBCD, Trip()], epochs=1, **MBCD_MODEL)
    with pytest.raises(OSError):
        runner.train()
    runner.save_checkpoint(str(tmp_path), 'rescue.pth', save_optimizer=False)
    rescued = torch.load(tmp_path / 'rescue.pth', weights_only=True)
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert_equal(rescued['state_dict'], saved['state_dict'])
    assert_equal(rescued['ema_state_dict'], saved['ema_state_dict'])


def test_another_run_starts_with_its_own_model(tmp_path):
    """A hook object that serves two runners follows the second's model."""
    from mbcd_mmaction.engine.hooks import WATeacherDistillHook
    hook = WATeacherDistillHook(ema_decay=0.9)
    for i in range(2):
        runner = make_runner(tmp_path / str(i), [hook], epochs=1, seed=i)
        runner.train()
        assert hook.src_model is runner.model
        assert int(hook.ema_model.steps) == 3


def test_a_model_is_tested_after_a_broken_training(tmp_path):
    """The broken run's slots are still filled; prediction ignores them."""

    class Stop(Hook):

        def after_train_iter(self, runner, batch_idx, data_batch=None,
                             outputs=None):
            raise KeyboardInterrupt

    runner = make_runner(tmp_path, [*MBCD, Stop()], **MBCD_MODEL)
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    model = runner.model
    assert model.lookahead is not None and model.distiller is not None
    with_slots = make_runner(tmp_path / 'again', (), model=model).test()
    model.lookahead = model.distiller = None
    without = make_runner(tmp_path / 'third', (), model=model).test()
    assert with_slots == without


def test_nothing_of_a_step_outlives_it(tmp_path):
    """Features and graphs are gone before the next step, at once."""
    kept = []

    class Watch(Hook):
        priority = 'LOWEST'

        def before_train(self, runner):
            model = runner.model
            for branch in model.branches.values():
                branch.norm.register_forward_hook(
                    lambda m, x, out: kept.append(weakref.ref(out)))
            fuse = model.fuse

            def watched(*args, **kwargs):
                out = fuse(*args, **kwargs)
                kept.append(weakref.ref(out))
                return out

            model.fuse = watched

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            assert not [r for r in kept if r() is not None]
            self.count = len(kept)

    watch = Watch()
    for order in ('first', 'second', 'penalty'):
        kept.clear()
        hooks = (dict(type='GradientConsistencyHook', inner_lr=.1,
                      order=order), MBCD[1], watch)
        make_runner(tmp_path / order, hooks, epochs=1, **MBCD_MODEL).train()
        assert watch.count > 5
