"""Both hooks in a stock Runner around models that are not ours."""
import copy
import gc
import pickle
import weakref

import pytest
import torch
from foreign_runner import (
    DISTIL,
    LOOK,
    Log,
    clips_of,
    hooks_on,
    make_runner,
    model_of,
    train,
)
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import StochasticWeightAverage
from toy_runner import assert_equal, weights

OFF = (dict(DISTIL, distill_weight=0.0), dict(LOOK, inner_lr=0.0))
BOTH = (DISTIL, LOOK)
ADAM = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01))


# Weight 0 ---------------------------------------------------------------


@pytest.mark.parametrize('name', ['two losses', 'SlowOnly', 'RGBPose', 'TSN'])
def test_weight_0_is_no_hook_bit_for_bit(tmp_path, name):
    """Dropout and BatchNorm in the model; Adam's state too."""
    runs = [
        train(tmp_path / str(i), name, hooks, optim_wrapper=ADAM, epochs=2)
        + (torch.get_rng_state(), ) for i, hooks in enumerate([(), OFF])
    ]
    (plain, log, rng), (off, same, same_rng) = runs
    assert_equal(weights(plain.model), weights(off.model))
    assert log.steps == same.steps and len(log.steps) == 6
    assert torch.equal(rng, same_rng)
    states = [r.optim_wrapper.optimizer.state_dict()['state']
              for r in (plain, off)]
    assert states[0].keys() == states[1].keys() != set()
    for key, state in states[0].items():
        assert_equal(state, states[1][key])
    moved = train(tmp_path / 'on', name, [DISTIL], optim_wrapper=ADAM)[0]
    assert any(not torch.equal(a, b) for a, b in zip(
        weights(plain.model).values(), weights(moved.model).values(),
        strict=True))


# Both at once -----------------------------------------------------------


@pytest.mark.parametrize('hooks', [BOTH, BOTH[::-1]])
def test_both_hooks_on_one_model(tmp_path, hooks):
    """In whatever order they are named: the same numbers."""
    runner, log = train(tmp_path, 'two losses', hooks,
                        ask=lambda r: hooks_on(r.model))
    assert log.answers == [3] * 3 and hooks_on(runner.model) == 0
    assert set(log.steps[0]) == {'loss', 'loss_cls', 'loss_second',
                                 'loss_distill'}
    alone = [train(tmp_path / h['type'], 'two losses', [h])[1].steps[0]
             for h in (DISTIL, LOOK)]
    both = log.steps[0]
    assert both['loss_distill'] == alone[0]['loss_distill']
    assert both['loss_cls'] == alone[1]['loss_cls'] != alone[0]['loss_cls']
    assert both['loss'] == pytest.approx(
        sum(v for n, v in both.items() if n != 'loss'), rel=1e-6)


def test_a_second_teacher_is_refused(tmp_path):
    runner = make_runner(tmp_path, 'two losses', [DISTIL, DISTIL])
    with pytest.raises(ValueError, match='one hook that averages'):
        runner.train()


def test_a_stock_average_beside_it_is_refused(tmp_path):
    """Both exchange weights for a validation, in the same order before and
    after it: the student would be left in the wrong place."""
    for hooks in ([DISTIL, dict(type='EMAHook')],
                  [dict(type='EMAHook'), OFF[0]]):
        runner = make_runner(tmp_path, 'two losses', hooks)
        with pytest.raises(ValueError, match='one hook that averages.*EMAH'):
            runner.train()


def test_a_model_can_be_copied_beside_them(tmp_path):
    """Before the training, without a tap, and in it, without the Runner."""
    runner = make_runner(tmp_path, 'two losses', BOTH)
    seen = []

    class Copy(Hook):

        def before_run(self, runner):
            clone = StochasticWeightAverage(runner.model).module
            seen.append((hooks_on(clone), clone.head is runner.model.head))

    def ask(runner):
        later = copy.deepcopy(runner.model)
        assert later(torch.zeros(2, 4)).shape == (2, 3)
        state = pickle.dumps(runner.model.state_dict())
        assert len(state) < 10000
        seen.append(later.head is runner.model.head)

    runner.register_hook(Copy(), 'LOWEST')
    runner.register_hook(Log(ask))
    runner.train()
    assert seen == [(0, False)] + [False] * 3


class Sum(BaseMetric):
    """Of all logits: which weights predict."""

    def process(self, data_batch, data_samples):
        self.results += [float(x.sum()) for x in data_samples]

    def compute_metrics(self, results):
        return dict(logits=sum(results))


def validated(work_dir, epochs, validate=True, resume=False):
    """Losses and metrics of a training that saves and validates."""
    model = model_of('two losses')
    model.backbone[3].p = 0.0
    runner = make_runner(work_dir, 'two losses', BOTH, epochs=epochs,
                         model=model)
    runner.register_hook(CheckpointHook())
    runner._resume = resume
    if validate:
        runner._val_loop = {}
        runner._val_evaluator = Evaluator(Sum())
        runner._val_dataloader = dict(
            batch_size=4, dataset=clips_of('two losses', 8),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'))
    log = Log()
    runner.register_hook(log)
    runner.train()
    scalars = runner.message_hub.log_scalars
    return log.steps, (scalars['val/logits'].current() if validate else 0)


def test_validation_and_resume_change_nothing(tmp_path):
    unbroken, score = validated(tmp_path / 'a', 3)
    assert len(unbroken) == 9
    silent, _ = validated(tmp_path / 'b', 3, validate=False)
    assert silent == unbroken
    before, early = validated(tmp_path / 'c', 1)
    after, late = validated(tmp_path / 'c', 3, resume=True)
    assert before + after == unbroken
    assert late == score != early


class Trip(Hook):
    """Fails once."""
    armed = True

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        if self.armed:
            self.armed = False
            raise OSError('disk')


@pytest.mark.parametrize('hook', BOTH)
def test_a_failed_training_does_not_keep_the_model(tmp_path, hook):
    runner = make_runner(tmp_path, 'two losses', [hook, Trip()])
    with pytest.raises(OSError, match='disk'):
        runner.train()
    model = weakref.ref(runner.model)
    del runner
    gc.collect()
    assert model() is None


def test_training_twice(tmp_path):
    """After an error in the middle, the second training is whole."""
    runner = make_runner(tmp_path, 'two losses', [*BOTH, Trip()])
    log = Log()
    runner.register_hook(log)
    with pytest.raises(OSError, match='disk'):
        runner.train()
    runner.train()
    assert [set(step) for step in log.steps] == [
        {'loss', 'loss_cls', 'loss_second', 'loss_distill'}] * len(log.steps)
    assert log.steps and hooks_on(runner.model) == 0
