"""What the teacher cannot be asked, said with its reason."""
from types import SimpleNamespace

import pytest
from foreign_models import TwoLosses, build, two_loss_batch
from foreign_runner import DISTIL, LOOK, make_runner
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.optim import SGD

from mbcd_mmaction.engine.adapters import ForeignDistiller
from mbcd_mmaction.engine.hooks import WATeacherDistillHook
from mbcd_mmaction.models import WeightAverageTeacher


class Without(BaseModel):
    """No module is called cls_head or head."""

    def __init__(self):
        super().__init__()
        self.decode_head = nn.Linear(4, 3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.decode_head(inputs).mean())


class NoMode(TwoLosses):

    def forward(self, inputs, data_samples=None, return_loss=True):
        return super().forward(inputs, data_samples,
                               'loss' if return_loss else 'tensor')


class Several(TwoLosses):
    """RecognizerOmni's signature."""

    def forward(self, *batches, mode):
        return super().forward(*batches, mode=mode)


def start(model, **kwargs):
    """The hook before training; no step is made."""
    hook = WATeacherDistillHook(**kwargs)
    runner = SimpleNamespace(model=model, max_iters=1, max_epochs=1, cfg={},
                             hooks=[])
    hook.before_run(runner)
    hook.before_train(runner)
    return hook


@pytest.mark.parametrize('model,message', [
    (Without, r"'cls_head' or 'head', it has \[.*'decode_head'\]"),
    (NoMode, r"arguments \['inputs', 'data_samples', 'return_loss'\]"),
    (Several, r"\['batches', 'mode'\]: expected the OpenMMLab convention"),
    (lambda: build('SlowOnly', multi_class=True,
                   loss_cls=dict(type='BCELossWithLogits')),
     'multi_class=True: Eq. 8 compares softmax'),
])
def test_refused_at_start(model, message):
    model = model()
    with pytest.raises(TypeError, match=message) as error:
        start(model)
    assert 'distill_weight=0' in str(error.value)
    assert not model._forward_hooks
    start(model, distill_weight=0.0)  # plain averaging works on any model


def test_a_named_module_that_is_not_there():
    with pytest.raises(TypeError, match="module 'cls', it has"):
        start(TwoLosses(), logits_from='cls')


class Past(TwoLosses):
    """Trains past its own __call__, where forward hooks stand."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        loss, log = self.parse_losses(self.forward(**data, mode='loss'))
        optim_wrapper.update_params(loss)
        return log


class Positional(TwoLosses):

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        loss, log = self.parse_losses(
            self(data['inputs'], data['data_samples'], 'loss'))
        optim_wrapper.update_params(loss)
        return log


@pytest.mark.parametrize('model', [Past, Positional])
@pytest.mark.parametrize('hook', [DISTIL, LOOK])
def test_a_model_whose_losses_are_never_seen(tmp_path, model, hook):
    runner = make_runner(tmp_path, 'two losses', [hook], model=model())
    with pytest.raises(TypeError, match=f"{hook['type']}: {model.__name__} "
                       'has made a training step without'):
        runner.train()


@pytest.mark.parametrize('hook,told', [
    (dict(DISTIL, start_epoch=2), r'\[2\]'),
    (dict(DISTIL, start_epoch=2, distill_weight=0.0), r'\[2\]'),
    (dict(LOOK, start_epoch=1, end_epoch=3), r'\[1, 3\]'),
    (dict(LOOK, end_epoch=3), r'\[3\]')])
def test_epochs_where_steps_are_counted(tmp_path, hook, told):
    """IterBasedTrainLoop stays in epoch 0: they would never come."""
    runner = make_runner(tmp_path, 'two losses', [hook])
    runner._train_loop = dict(type='IterBasedTrainLoop', max_iters=2)
    with pytest.raises(ValueError, match=f'IterBasedTrainLoop.*got {told}'):
        runner.train()


def test_steps_are_enough_for_the_rest(tmp_path):
    runner = make_runner(tmp_path, 'two losses', [DISTIL, LOOK])
    runner._train_loop = dict(type='IterBasedTrainLoop', max_iters=2)
    runner.train()
    assert runner.iter == 2


def test_several_optimizers(tmp_path):
    runner = make_runner(tmp_path, 'two losses', [DISTIL])
    parts = {part: OptimWrapper(SGD(getattr(runner.model, part).parameters(),
                                    lr=0.1)) for part in ('backbone', 'head')}
    runner.optim_wrapper = OptimWrapperDict(**parts)
    with pytest.raises(TypeError, match='one optim_wrapper, got several'):
        runner.train()


class Pairs(TwoLosses):

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = super().forward(inputs, data_samples, mode)
        return out if mode == 'loss' else (out, out)


class Features(TwoLosses):

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return super().forward(inputs, data_samples, mode)
        return self.backbone(inputs)


class Twice(TwoLosses):

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.head(self.backbone(inputs))
        return super().forward(inputs, data_samples, mode)


class Maps(TwoLosses):

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(self.head, nn.Unflatten(1, (3, 1)))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        said = self.head(self.backbone(inputs))
        return said if mode != 'loss' else dict(loss=said.mean())


@pytest.mark.parametrize('model,message', [
    (Pairs, r"logits \(N, K\) from forward\(mode='tensor'\), got tuple"),
    (Features, r'\(6, 3\)} in training, forward.*\(6, 5\)}'),
    (Twice, 'called once in a training step, it was called 2 times'),
    (Maps, r'from the head in training, got \(6, 3, 1\)'),
])
def test_refused_at_the_first_step(model, message):
    """What no signature tells."""
    model = model().train()
    ForeignDistiller(model, WeightAverageTeacher(model).module, 1.0)
    with pytest.raises(TypeError, match=message) as error:
        model(**two_loss_batch(), mode='loss')
    assert 'logits_from' in str(error.value)
