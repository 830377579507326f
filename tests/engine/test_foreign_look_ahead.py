"""Eq. 5 and 6 on models with several named losses."""
import copy

import pytest
import torch
from foreign_models import TwoLosses, batch_of, build, two_loss_batch
from foreign_runner import LOOK, hook_of, hooks_on, make_runner
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from mbcd_mmaction.engine.adapters import NamedLossConsistency
from mbcd_mmaction.engine.hooks import GradientConsistencyHook
from mbcd_mmaction.models import LookAhead

LR = 0.3


class Quadratic(BaseModel):
    """1/2 (x - a)' A (x - a) and w / 2 (x - b)' B (x - b)."""

    def __init__(self, size=4):
        super().__init__()
        draw = torch.Generator().manual_seed(5)

        def randn(*shape):
            return torch.randn(shape, generator=draw, dtype=torch.float64)

        self.backbone = nn.ParameterDict(dict(x=randn(size)))
        self.w = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.a, self.b = randn(size), randn(size)
        roots = randn(2, size, size)
        self.A, self.B = (root @ root.T / size for root in roots)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        off_a, off_b = (self.backbone['x'] - z for z in (self.a, self.b))
        return dict(loss_in=off_a @ self.A @ off_a / 2,
                    loss_out=self.w * (off_b @ self.B @ off_b) / 2,
                    acc=torch.tensor(0.5))


def by_hand(model, order):
    """Sum of all losses, and its gradients by x and w."""
    x, w = model.backbone['x'].detach(), model.w.detach()
    A, B, a, b = model.A, model.B, model.a, model.b
    g, h = A @ (x - a), w * B @ (x - b)
    inner = (x - a) @ g / 2
    if order in ('first', 'second'):
        x2 = x - LR * g
        h2 = w * B @ (x2 - b)
        outer = (x2 - b) @ h2 / 2
        through = h2 if order == 'first' else h2 - LR * A @ h2
        return inner + outer, g + through, outer / w
    outer = (x - b) @ h / 2
    hessian = w * B
    if order == 'penalty':
        extra = -LR * g @ h
        grad = -LR * (A @ h + hessian @ g)
        by_w = -LR * g @ h / w
    else:
        lengths = g.norm() * h.norm()
        cos = g @ h / lengths
        extra = LR * (1 - cos)
        grad = -LR * (A @ (h / lengths - cos * g / (g @ g)) + hessian @
                      (g / lengths - cos * h / (h @ h)))
        by_w = torch.tensor(0.0).double()  # a cosine has no scale
    return inner + outer + extra, g + h + grad, outer / w + by_w


def attach(model, order, lr=LR, inner=('loss_in', ), outer=('loss_out', ),
           **kwargs):
    return NamedLossConsistency(model, LookAhead(lr, order), inner, outer,
                                **kwargs)


ORDERS = ['first', 'second', 'penalty', 'cosine']


@pytest.mark.parametrize('order', ORDERS)
def test_closed_form(order):
    model = Quadratic().train()
    plain = model(None, mode='loss')
    attach(model, order)
    losses = model(None, mode='loss')
    assert torch.equal(losses['loss_in'], plain['loss_in'])
    assert losses['acc'] == 0.5
    steps = order in ('first', 'second')
    assert ('loss_consistency' in losses) is not steps
    assert torch.equal(losses['loss_out'], plain['loss_out']) is not steps
    total, _ = model.parse_losses(losses)
    total.backward()
    value, by_x, by_w = by_hand(model, order)
    for got, expected in ((total, value), (model.backbone['x'].grad, by_x),
                          (model.w.grad, by_w)):
        torch.testing.assert_close(got.detach(), expected, rtol=1e-10,
                                   atol=1e-12)


def test_cosine_and_penalty_differ_in_scale_alone():
    """Of gradients of one direction: 1 - cos is 0, the product is not."""
    model = Quadratic().train()
    model.A = model.B = torch.eye(4, dtype=torch.float64)
    model.b = model.a.clone()
    attach(model, 'cosine')
    assert abs(model(None, mode='loss')['loss_consistency']) < 1e-12


def ahead_of(model, loss, lr):
    """A copy of the model whose backbone has stepped along one loss."""
    params = {n: p for n, p in model.named_parameters()
              if n.startswith('backbone')}
    grads = torch.autograd.grad(loss, list(params.values()),
                                retain_graph=True, allow_unused=True)
    ahead = copy.deepcopy(model)
    with torch.no_grad():
        for name, grad in zip(params, grads, strict=True):
            if grad is not None:
                ahead.get_parameter(name).sub_(lr * grad)
    return ahead


def test_rgbpose_by_hand():
    """Dropout draws in both passes; statistics move in the first alone."""
    model = build('RGBPose').double()
    batch = batch_of('RGBPose')
    batch['inputs'] = {k: v.double() for k, v in batch['inputs'].items()}

    def losses_of(net):
        return net(dict(batch['inputs']), batch['data_samples'], mode='loss')

    plain = copy.deepcopy(model)
    torch.manual_seed(8)
    first = losses_of(plain)
    ahead = ahead_of(plain, first['rgb_loss_cls'], 0.01)
    second = losses_of(ahead)
    first['rgb_loss_cls'].backward()
    second['pose_loss_cls'].backward()
    attach(model, 'first', 0.01, ['rgb_loss_cls'], ['pose_loss_cls'])
    torch.manual_seed(8)
    got = losses_of(model)
    assert list(got) == list(first)
    assert torch.equal(got['rgb_loss_cls'], first['rgb_loss_cls'])
    assert got['pose_loss_cls'].item() == pytest.approx(
        second['pose_loss_cls'].item(), rel=1e-10)
    assert abs(second['pose_loss_cls'] - first['pose_loss_cls']) > 1e-6
    (got['rgb_loss_cls'] + got['pose_loss_cls']).backward()
    pairs = [dict(net.named_parameters()) for net in (plain, ahead)]
    for name, param in model.named_parameters():
        parts = [p[name].grad for p in pairs if p[name].grad is not None]
        torch.testing.assert_close(param.grad, sum(parts), rtol=1e-8,
                                   atol=1e-10)
    for (name, buffer), (_, once) in zip(
            model.named_buffers(), plain.named_buffers(), strict=True):
        assert torch.equal(buffer, once), name


@pytest.mark.parametrize('order', ORDERS)
def test_statistics_move_once(order):
    model = TwoLosses().train()
    plain = copy.deepcopy(model)
    attach(model, order, 0.1, ['loss_second'], ['loss_cls'])
    batch = two_loss_batch()
    model(**batch, mode='loss')
    plain(**batch, mode='loss')
    assert model.backbone[1].num_batches_tracked == 1
    for a, b in zip(model.buffers(), plain.buffers(), strict=True):
        assert torch.equal(a, b)


def test_theta_is_what_the_pattern_finds():
    """Only parameters in theta are looked ahead."""
    batch = two_loss_batch()
    losses = {}
    for pattern in ('^backbone', r'^backbone\.0', '^second_head', '.'):
        torch.manual_seed(0)
        model = TwoLosses().train()
        plain = model(**batch, mode='loss')
        attach(model, 'first', 0.5, ['loss_second'], ['loss_cls'],
               params=pattern)
        losses[pattern] = (model(**batch, mode='loss')['loss_cls'] -
                           plain['loss_cls']).item()
    assert losses['^second_head'] == 0  # loss_cls does not depend on it
    assert losses['.'] == losses['^backbone'] != 0
    assert losses[r'^backbone\.0'] not in (0, losses['^backbone'])


def test_lists_of_losses_are_summed():
    """As MMEngine does: mean of each, then the sum."""

    class Listed(Quadratic):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            losses = super().forward(inputs, data_samples, mode)
            part = losses['loss_in']
            losses['loss_in'] = [part / 4, torch.stack([part, part / 2])]
            return losses

    model, plain = Listed().train(), Quadratic().train()
    attach(model, 'first')
    attach(plain, 'first')
    assert model(None, mode='loss')['loss_out'].item() == pytest.approx(
        plain(None, mode='loss')['loss_out'].item(), rel=1e-12)


def test_inner_losses_of_two_names():
    model = Quadratic().train()
    attach(model, 'first', inner=['loss_in', 'loss_out'], outer=['loss_x'])
    with pytest.raises(ValueError, match=r"no loss is called \['loss_x'\]"):
        model(None, mode='loss')


# Refusals and time ------------------------------------------------------


@pytest.mark.parametrize('kwargs,message', [
    (dict(), 'a model with one loss has nothing to agree with'),
    (dict(inner_losses=['loss_cls']), r"got \['loss_cls'\] and \[\]"),
    (dict(inner_losses=['loss_cls'], outer_losses=['loss_cls']),
     'different losses of TwoLosses'),
    (dict(inner_losses=['top1_acc'], outer_losses=['loss_cls']),
     r"\['top1_acc'\] are no losses"),
    (dict(inner_losses=['loss_second'], outer_losses=['loss_cls'],
          params='^trunk'), r"params='\^trunk' fits no trainable parameter"),
])
def test_refused_at_start(tmp_path, kwargs, message):
    hook = dict(type='GradientConsistencyHook', **kwargs)
    runner = make_runner(tmp_path, 'two losses', [hook])
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0 and hooks_on(runner.model) == 0


def test_one_loss_is_refused_at_the_first_step(tmp_path):
    hook = dict(LOOK, inner_losses=['loss_cls'], outer_losses=['loss_aux'])
    runner = make_runner(tmp_path, 'SlowOnly', [hook])
    with pytest.raises(ValueError, match=r"no loss is called \['loss_aux'\]; "
                       r"Recognizer3D returned \['top1_acc', 'loss_cls'\]"):
        runner.train()


def test_a_frozen_backbone_has_nothing_to_look_ahead_with(tmp_path):
    """Stock models freeze within train(): asked for at start all the same."""

    class Frozen(TwoLosses):

        def train(self, mode=True):
            super().train(mode)
            self.backbone.requires_grad_(False)
            return self

    runner = make_runner(tmp_path, 'two losses', [LOOK], model=Frozen())
    with pytest.raises(ValueError, match='fits no trainable parameter'):
        runner.train()


class Count(Hook):
    """Asks something after each step."""

    priority = 'LOWEST'

    def __init__(self, ask):
        self.ask, self.answers = ask, []

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.answers.append(self.ask(runner))


def test_epochs(tmp_path):
    """Off before start_epoch and from end_epoch on."""
    counts = []
    for hook in (dict(LOOK, start_epoch=1, end_epoch=2),
                 dict(LOOK, inner_lr=0.0)):
        runner = make_runner(tmp_path / str(len(counts)), 'two losses',
                             [hook], epochs=3)
        calls = Count(lambda r: r.model.calls)
        runner.register_hook(calls)
        forward = runner.model.backbone[0].register_forward_hook(
            lambda *_, r=runner: setattr(r.model, 'calls', r.model.calls + 1))
        runner.model.calls = 0
        runner.train()
        forward.remove()
        counts.append([b - a for a, b in zip(
            [0, *calls.answers], calls.answers, strict=False)])
    assert counts[0] == [1] * 3 + [2] * 3 + [1] * 3
    assert counts[1] == [1] * 9


class Trip(Hook):
    """Stops one training in its second step."""

    def __init__(self):
        self.armed = True

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.armed and batch_idx == 1:
            self.armed = False
            raise KeyboardInterrupt


def test_no_hooks_are_left(tmp_path):
    """Not after training, an interrupted one, and a second one."""
    model = TwoLosses()
    runner = make_runner(tmp_path, 'two losses', [LOOK, Trip()], model=model)
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert hooks_on(model) > 0  # nobody could tell the hook
    asked = []
    runner.register_hook(Count(lambda r: asked.append(hooks_on(r.model))))
    runner.train()
    assert set(asked) == {2} and hooks_on(model) == 0
    assert hook_of(runner, 'GradientConsistencyHook').foreign is None
    # and by another Runner, which knows nothing of the first's hooks
    third = make_runner(tmp_path / 'b', 'two losses', [LOOK, Trip()],
                        model=model)
    with pytest.raises(KeyboardInterrupt):
        third.train()
    fourth = make_runner(tmp_path / 'c', 'two losses', [LOOK], model=model)
    fourth.register_hook(Count(lambda r: asked.append(hooks_on(r.model))))
    fourth.train()
    assert set(asked) == {2} and hooks_on(model) == 0


def test_two_hooks_of_a_kind_are_refused(tmp_path):
    runner = make_runner(tmp_path, 'two losses', [LOOK, LOOK])
    with pytest.raises(ValueError, match='one hook of a kind'):
        runner.train()


@pytest.mark.parametrize('kwargs', [dict(inner_lr=-1.0),
                                    dict(order='third')])
def test_bad_settings(kwargs):
    with pytest.raises(ValueError):
        GradientConsistencyHook(**kwargs)
