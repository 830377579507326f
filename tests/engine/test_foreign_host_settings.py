"""Freezing, accumulation, bfloat16 and checkpointed activations."""
import pytest
import torch
from foreign_models import TwoLosses
from foreign_runner import (
    DISTIL,
    LOOK,
    POSE_LOOK,
    clips_of,
    hook_of,
    make_runner,
    model_of,
    train,
)
from mmengine.optim import OptimWrapper
from torch.utils.data import default_collate
from toy_runner import weights

from mbcd_mmaction.engine import CPUAmpOptimWrapper
from mbcd_mmaction.engine.adapters import NamedLossConsistency
from mbcd_mmaction.models import LookAhead


def frozen(stages):
    """Stock frozen_stages: they freeze when train() is called."""
    model = model_of('SlowOnly')
    model.backbone.frozen_stages = stages
    return model


def test_frozen_stages(tmp_path):
    """The same losses as with everything frozen beforehand."""
    shared, first_and_last = [], []

    def ask(runner):
        first_and_last[1:] = [weights(runner.model).items()]
        teacher = hook_of(runner, 'WATeacherDistillHook').ema_model.module
        own, other = (dict(m.named_parameters())
                      for m in (runner.model, teacher))
        shared.append({n for n, p in own.items()
                       if p.data_ptr() == other[n].data_ptr()})

    runner, log = train(tmp_path / 'a', 'SlowOnly', [DISTIL], ask,
                        model=frozen(2))
    stem = ('backbone.conv1', 'backbone.layer1', 'backbone.layer2')
    names = {n for n, _ in runner.model.named_parameters()}
    assert shared == [{n for n in names if n.startswith(stem)}] * 3
    for states in zip(*first_and_last, strict=True):
        (name, before), (_, after) = states
        if name.startswith(stem):
            assert torch.equal(before, after), name
    by_hand = frozen(-1)
    for name, module in by_hand.backbone.named_children():
        if f'backbone.{name}' in stem:
            module.requires_grad_(False)
            module.eval()
            module.train = lambda mode=True, m=module: m
    _, expected = train(tmp_path / 'b', 'SlowOnly', [DISTIL], model=by_hand)
    assert log.steps == expected.steps
    assert all(step['loss_distill'] > 0 for step in log.steps[1:])


def test_frozen_stages_are_not_looked_ahead(tmp_path):
    """theta is the rest; nothing trainable in it is refused."""

    class Frozen(TwoLosses):

        def train(self, mode=True):
            super().train(mode)
            self.backbone[0].requires_grad_(False)
            return self

    torch.manual_seed(11)
    runner, log = train(tmp_path / 'a', 'two losses', [LOOK], model=Frozen())
    torch.manual_seed(11)
    _, named = train(tmp_path / 'b', 'two losses', [
        dict(LOOK, params=r'^backbone\.1')], model=Frozen())
    assert log.steps == named.steps
    torch.manual_seed(11)
    _, plain = train(tmp_path / 'c', 'two losses', model=Frozen())
    assert log.steps[0]['loss_cls'] != plain.steps[0]['loss_cls']


def evaluating(kind):
    """A model whose BatchNorm stays in eval mode: rows do not meet."""

    class Evaluating(kind):

        def train(self, mode=True):
            super().train(mode)
            for module in self.modules():
                if isinstance(module, torch.nn.BatchNorm1d):
                    module.eval()
            return self

    torch.manual_seed(11)
    return Evaluating().double()


def accumulated(tmp_path, hooks, size, model):
    """12 clips in steps of 6, as (Runner, log)."""
    return train(
        tmp_path / str(size), 'two losses', hooks,
        ask=lambda r: [int(h.ema_model.steps) for h in r.hooks
                       if hasattr(h, 'ema_model')],
        batch_size=size, steps=12 // size, dtype=torch.float64, model=model,
        optim_wrapper=dict(type='OptimWrapper',
                           accumulative_counts=6 // size,
                           optimizer=dict(type='SGD', lr=0.05)))


def test_accumulated_distillation(tmp_path):
    """Two half batches make the step of a whole one; averages wait."""
    halves, whole = (
        accumulated(tmp_path, [DISTIL], size, evaluating(TwoLosses))
        for size in (3, 6))
    assert halves[1].answers == [[0], [1], [1], [2]]
    assert whole[1].answers == [[1], [2]]
    assert whole[1].steps[1]['loss_distill'] > 1e-8
    models = [[r.model, hook_of(r, 'WATeacherDistillHook').ema_model]
              for r, _ in (halves, whole)]
    for ours, theirs in zip(*models, strict=True):
        for name, tensor in ours.state_dict().items():
            torch.testing.assert_close(tensor, theirs.state_dict()[name],
                                       rtol=1e-10, atol=1e-12)


def test_accumulated_look_ahead(tmp_path):
    """Each half looks ahead along its own gradient; both make one step."""
    runner, _ = accumulated(tmp_path, [LOOK], 3, evaluating(TwoLosses))
    model = evaluating(TwoLosses).train()
    NamedLossConsistency(model, LookAhead(LOOK['inner_lr']),
                         LOOK['inner_losses'], LOOK['outer_losses'])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    clips = clips_of('two losses', 12, torch.float64)
    for first in (0, 6):
        optimizer.zero_grad()
        for rows in (slice(first, first + 3), slice(first + 3, first + 6)):
            batch = default_collate(clips[rows])
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            (loss / 2).backward()
        optimizer.step()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(runner.model.state_dict()[name], tensor,
                                   rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('name,hooks', [
    ('SlowOnly', [DISTIL]), ('RGBPose', [DISTIL, POSE_LOOK])])
def test_bfloat16_on_the_cpu(tmp_path, name, hooks):
    """Near single precision; the extra losses arrive."""
    # oneDNN leaves memory unwritten in the bfloat16 gradient of a 3D kernel
    # that is larger than its input, as in models of this size
    with torch.backends.mkldnn.flags(enabled=False):
        half, single = (
            train(tmp_path / kind.__name__, name, hooks, optim_wrapper=dict(
                type=kind, optimizer=dict(type='SGD', lr=0.01)))[1].steps
            for kind in (CPUAmpOptimWrapper, OptimWrapper))
    assert set(half[0]) == set(single[0])
    for a, b in zip(half, single, strict=True):
        assert any('distill' in n for n in a)
        for loss in (n for n in a if 'loss' in n):
            assert a[loss] == pytest.approx(b[loss], rel=0.1, abs=0.1), loss
    assert half[0]['loss'] != single[0]['loss']


@pytest.mark.parametrize('name,hooks,other', [
    ('SlowOnly', [DISTIL], 'loss_distill'),
    ('Swin', [DISTIL], 'loss_distill')])
def test_distillation_with_checkpointed_activations(tmp_path, name, hooks,
                                                    other):
    """Reentrant, as the host does it: recomputed in the backward pass."""

    def model(with_cp):
        net = model_of(name)
        for module in net.modules():
            if hasattr(module, 'with_cp'):
                module.with_cp = with_cp
            if hasattr(module, 'drop_prob'):
                module.drop_prob = 0.0
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.0  # a recomputed pass moves it twice
        return net

    plain, checkpointed = (
        train(tmp_path / str(cp), name, hooks, model=model(cp))
        for cp in (False, True))
    assert checkpointed[1].steps[1][other] > 1e-6
    for a, b in zip(plain[1].steps, checkpointed[1].steps, strict=True):
        for key, value in a.items():
            assert b[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def test_looking_ahead_through_checkpoints_is_refused(tmp_path):
    model = model_of('SlowOnly')
    for module in model.backbone.layer4.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = True
    runner = make_runner(tmp_path / 'a', 'SlowOnly', [
        dict(LOOK, inner_losses=['loss_a'])], model=model)
    with pytest.raises(ValueError, match=r'backbone\.layer4\.0 checkpoints '
                       r'activations \(with_cp=True\)'):
        runner.train()
    runner = make_runner(tmp_path / 'b', 'two losses', [LOOK],
                         activation_checkpointing='backbone')
    with pytest.raises(ValueError, match=r'backbone checkpoints activations '
                       r'\(activation_checkpointing\)'):
        runner.train()


def test_distillation_with_the_hosts_activation_checkpointing(tmp_path):
    runs = [train(tmp_path / str(i), 'two losses', [DISTIL], **cfg)[1].steps
            for i, cfg in enumerate([
                dict(), dict(activation_checkpointing=['head'])])]
    assert runs[0][1]['loss_distill'] > 1e-6
    for a, b in zip(*runs, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
