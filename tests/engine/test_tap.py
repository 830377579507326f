"""The tap: what objectives see, and what is left when they are gone."""
import copy
import gc
import weakref

import pytest
import torch
from foreign_models import TwoLosses, batch_of, build, two_loss_batch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from mbcd_mmaction.engine.adapters import LossTap


class Add:
    """An objective that notes its steps and adds an entry."""

    def __init__(self, **entries):
        self.entries = entries
        self.steps = []

    def __call__(self, step):
        self.steps.append(step)
        return self.entries


class Another(Add):
    """Another kind."""


def tapped(objective=None, head=None):
    model = TwoLosses().train()
    objective = objective or Add(loss_extra=torch.tensor(2.0))
    LossTap.of(model).add(objective, head and getattr(model, head))
    return model, objective


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks)
               for m in model.modules())


def test_entries_join_and_replace_the_losses():
    model, objective = tapped(Add(loss_cls=torch.tensor(5.0),
                                  loss_new=torch.tensor(7.0)))
    batch = two_loss_batch()
    got = model(**batch, mode='loss')
    assert list(got) == ['loss_cls', 'loss_second', 'loss_new']
    assert got['loss_cls'] == 5 and got['loss_new'] == 7
    step, = objective.steps
    assert step.model is model
    # the model's own
    assert step.losses['loss_second'] is got['loss_second']
    assert step.losses['loss_cls'] != 5


def test_every_objective_sees_the_models_own_losses():
    first = Add(loss_cls=torch.tensor(5.0))
    model, _ = tapped(first)
    second = Another(loss_more=torch.tensor(1.0))
    LossTap.of(model).add(second)
    got = model(**two_loss_batch(), mode='loss')
    assert set(second.steps[0].losses) == {'loss_cls', 'loss_second'}
    assert second.steps[0].losses['loss_cls'] != 5
    assert got['loss_cls'] == 5 and got['loss_more'] == 1


@pytest.mark.parametrize('mode', ['tensor', 'predict'])
def test_only_losses_in_training_are_asked_for(mode):
    model, objective = tapped()
    batch = two_loss_batch()
    assert torch.is_tensor(model(**batch, mode=mode))
    assert torch.is_tensor(model(batch['inputs']))
    model.eval()
    assert 'loss_extra' not in model(**batch, mode='loss')
    assert not objective.steps
    model.train()
    assert 'loss_extra' in model(**batch, mode='loss')


def test_positional_arguments_are_kept():
    model, objective = tapped()
    batch = two_loss_batch()
    model(batch['inputs'], batch['data_samples'], mode='loss')
    args, kwargs = objective.steps[0].arguments()
    assert args == (batch['inputs'], batch['data_samples'])
    assert kwargs == dict(mode='loss')


def test_logits_of_the_watched_head():
    model, objective = tapped(head='head')
    batch = two_loss_batch()
    model(**batch, mode='loss')
    logits, = objective.steps[0].logits
    feats = model.backbone.eval()(batch['inputs'])  # BatchNorm moves
    assert logits.shape == model.head(feats).shape == (6, 3)
    assert logits.requires_grad
    model(**batch, mode='tensor')
    assert len(objective.steps[0].logits) == 1


def test_not_asked_within_itself():

    class Recurse(Add):

        def __call__(self, step):
            super().__call__(step)
            args, kwargs = step.arguments()
            again = step.model(*args, **kwargs)
            assert set(again) == {'loss_cls', 'loss_second'}
            # a copy of the model carries the hooks: they stay silent
            assert len(copy.deepcopy(step.model)(*args, **kwargs)) == 2
            assert len(step.logits) == 1
            return dict(loss_again=again['loss_cls'])

    model, objective = tapped(Recurse(), head='head')
    assert len(model(**two_loss_batch(), mode='loss')) == 3
    assert len(model(**two_loss_batch(), mode='loss')) == 3
    assert len(objective.steps) == 2


def test_dicts_are_copied_for_every_use():
    """MMRecognizer3D flattens the views in the very dict it is given."""
    model = build('RGBPose')
    objective = Add()
    LossTap.of(model).add(objective)
    batch = batch_of('RGBPose')
    shapes = {key: tuple(x.shape) for key, x in batch['inputs'].items()}
    given = batch['inputs']
    model(**batch, mode='loss')
    assert {k: tuple(x.shape) for k, x in given.items()} != shapes
    for _ in range(2):
        _, kwargs = objective.steps[0].arguments()
        got = kwargs['inputs']
        assert {k: tuple(x.shape) for k, x in got.items()} == shapes
        assert all(got[k].data_ptr() == given[k].data_ptr() for k in got)
        model.eval()(**kwargs | dict(mode='tensor'))  # mutates this copy


def test_one_of_a_kind():
    model, _ = tapped()
    with pytest.raises(ValueError, match='one hook of a kind'):
        LossTap.of(model).add(Add())
    LossTap.of(model).add(Another())


def test_nothing_stays_when_the_last_is_gone():
    model, first = tapped(head='head')
    second = Another()
    tap = LossTap.of(model)
    assert LossTap.of(model) is tap
    tap.add(second)
    tap.remove(first)
    model(**two_loss_batch(), mode='loss')
    assert len(second.steps) == 1 and not first.steps
    tap.remove(second)
    assert hooks_on(model) == 0
    assert len(model(**two_loss_batch(), mode='loss')) == 2
    tap.remove(second)  # a second time: nothing happens
    tap.add(first)
    assert 'loss_extra' in model(**two_loss_batch(), mode='loss')


def test_an_error_in_an_objective_or_a_model_ends_the_step():

    class Fail(Add):

        def __call__(self, step):
            super().__call__(step)
            if len(self.steps) == 1:
                raise RuntimeError('objective')
            return {}

    model, objective = tapped(Fail(), head='head')
    batch = two_loss_batch()
    with pytest.raises(RuntimeError, match='objective'):
        model(**batch, mode='loss')
    model(**batch, mode='loss')
    assert len(objective.steps) == 2
    with pytest.raises(ValueError):  # in the model, after its head
        model(batch['inputs'], batch['data_samples'][:2], mode='loss')
    assert torch.is_tensor(model(**batch, mode='tensor'))
    model(**batch, mode='loss')
    assert [len(s.logits) for s in objective.steps] == [1, 1, 1]


def test_copies_share_the_tap_and_are_not_asked():
    model, objective = tapped(head='head')
    average = ExponentialMovingAverage(model)
    assert average.module.head is not model.head
    clone = average.module.train()
    assert len(clone(**two_loss_batch(), mode='loss')) == 2
    assert not objective.steps
    assert len(model(**two_loss_batch(), mode='loss')) == 3


def test_a_model_can_be_forgotten():
    model, objective = tapped(head='head')
    model(**two_loss_batch(), mode='loss')
    objective.steps.clear()  # a real one keeps none
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_a_model_with_hooks_of_others_keeps_them():
    model, objective = tapped()
    model.register_forward_hook(lambda *_: None)
    model.head.register_forward_hook(lambda *_: None)
    LossTap.of(model).remove(objective)
    assert hooks_on(model) == 2
    assert isinstance(model.head, nn.Linear)
