"""Looking ahead and distilling on some of the steps."""
import copy

import pytest
import torch
from foreign_runner import DISTIL, LOOK, model_of
from foreign_runner import train as train_foreign
from test_hooks import Recorder
from toy_runner import (
    MBCD,
    MBCD_MODEL,
    assert_equal,
    make_runner,
    weights,
)

from mbcd_mmaction.engine.hooks import (
    GradientConsistencyHook,
    WATeacherDistillHook,
)


def hooks_every(look, distil):
    return (dict(MBCD[0], every=look), dict(MBCD[1], distill_every=distil))


def state_of(runner):
    """Which slots are filled, and how often the average has moved."""
    hook = next(h for h in runner.hooks if hasattr(h, 'ema_model'))
    return (runner.model.lookahead is not None,
            runner.model.distiller is not None, int(hook.ema_model.steps))


def run(work_dir, hooks, **kwargs):
    runner = make_runner(work_dir, [*hooks], **kwargs, **MBCD_MODEL)
    recorder = Recorder(state_of)
    runner.register_hook(recorder)
    runner.train()
    return runner, recorder.answers


def test_phases(tmp_path):
    """Counted from step 0 over epochs of 3; the average never rests."""
    runner, states = run(tmp_path, hooks_every(2, 4), epochs=3)
    assert [s[0] for s in states] == [i % 2 == 0 for i in range(9)]
    assert [s[1] for s in states] == [i % 4 == 0 for i in range(9)]
    assert [s[2] for s in states] == list(range(1, 10))
    assert runner.model.lookahead is runner.model.distiller is None


def test_within_its_epochs_alone(tmp_path):
    hooks = [dict(MBCD[0], every=2, start_epoch=1, end_epoch=3), MBCD[1]]
    _, states = run(tmp_path, hooks, epochs=4)
    assert [i for i, s in enumerate(states) if s[0]] == [4, 6, 8]


def test_every_step_is_the_default(tmp_path):
    plain, _ = run(tmp_path / 'a', MBCD)
    ones, _ = run(tmp_path / 'b', hooks_every(1, 1))
    assert_equal(weights(plain.model), weights(ones.model))


def test_the_others_are_steps_without(tmp_path):
    """From step 1 on an n beyond the end leaves the average alone."""
    rare, _ = run(tmp_path / 'rare', hooks_every(99, 99))
    start = tmp_path / 'start'
    run(start, MBCD, epochs=1)

    def go_on(hooks):
        runner = make_runner(start, hooks, epochs=2, resume=True,
                             **MBCD_MODEL)
        runner.train()
        return weights(runner.model)

    off = (dict(MBCD[0], inner_lr=0.0), dict(MBCD[1], distill_weight=0.0))
    assert_equal(go_on(hooks_every(99, 99)), go_on(off))
    full, _ = run(tmp_path / 'full', MBCD)
    assert any(not torch.equal(t, weights(full.model)[n])
               for n, t in weights(rare.model).items())


def test_a_resumed_run_keeps_the_phase(tmp_path):
    hooks = hooks_every(4, 5)
    whole, states = run(tmp_path / 'whole', hooks, epochs=4)
    run(tmp_path / 'parts', hooks, epochs=2)
    rest, again = run(tmp_path / 'parts', hooks, epochs=4, resume=True)
    assert again == states[6:]
    assert [s[:2] for s in again] == [
        (False, False), (False, False), (True, False), (False, False),
        (False, True), (False, False)]
    assert_equal(weights(whole.model), weights(rest.model))


FOREIGN = (dict(DISTIL, distill_every=3), dict(LOOK, every=2))


def test_models_that_are_not_ours(tmp_path):
    def steps_of(hooks):
        runner, log = train_foreign(
            tmp_path / str(len(list(tmp_path.glob('*')))), 'two losses',
            hooks, ask=lambda r: [int(h.ema_model.steps) for h in r.hooks
                                  if hasattr(h, 'ema_model')], steps=6)
        return log

    log = steps_of(FOREIGN)
    distilled = [i for i, s in enumerate(log.steps) if 'loss_distill' in s]
    assert distilled == [0, 3]
    assert log.answers == [[i] for i in range(1, 7)]
    # n beyond the end: the first step alone is another
    first = steps_of((dict(DISTIL, distill_every=9), dict(LOOK, every=9)))
    both, none = steps_of((DISTIL, LOOK)), steps_of(())
    assert first.steps[0] == both.steps[0] != none.steps[0]
    assert set(first.steps[1]) == set(none.steps[1])
    assert first.steps[1] != both.steps[1]
    ones = steps_of((dict(DISTIL, distill_every=1), dict(LOOK, every=1)))
    assert ones.steps == both.steps


def test_compiled_code_follows(tmp_path):
    """Both kinds of step, and no code of the one in the other."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    logs = []
    for i, cfg in enumerate([dict(compile=dict(backend='eager')), {}]):
        model = model_of('two losses')
        model.backbone[3].p = 0.0
        logs.append(train_foreign(
            tmp_path / str(i), 'two losses', FOREIGN, steps=7,
            model=copy.deepcopy(model), **cfg)[1].steps)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 1
    torch._dynamo.reset()
    for a, b in zip(*logs, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
        assert set(a) == set(b)


def test_a_compiled_recognizer_follows(tmp_path):
    """MMEngine's `compile` of the whole step, with the slots."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    logs = []
    for compiled in (True, False):
        # compiled, Adam counts its steps in float32
        runner = make_runner(
            tmp_path / str(compiled), hooks_every(2, 2), epochs=1,
            optim_wrapper=dict(type='OptimWrapper',
                               optimizer=dict(type='SGD', lr=0.05)))
        if compiled:
            runner.cfg.compile = dict(backend='eager')
        log = Recorder(lambda r: r.message_hub.get_scalar(
            'train/loss').current())
        runner.register_hook(log)
        runner.train()
        logs.append(log.answers)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0
    torch._dynamo.reset()
    assert logs[0] == pytest.approx(logs[1], rel=1e-10)


@pytest.mark.parametrize('every', [0, -1, 1.5, True, '2', None])
def test_refused(every):
    with pytest.raises(ValueError, match='^every must be a whole number'):
        GradientConsistencyHook(every=every)
    with pytest.raises(ValueError, match='^distill_every must be a whole'):
        WATeacherDistillHook(distill_every=every)
