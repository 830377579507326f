"""Eq. 7 on a whole model: what is averaged, copied, shared and exchanged."""
import copy

import pytest
import torch
from mmengine.model import BaseAveragedModel
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from toy import make_recognizer

from mbcd_mmaction.functional import effective_decay
from mbcd_mmaction.models import WeightAverageTeacher
from mbcd_mmaction.models.branch import Branch

DIMS = {'video': 6, 'audio': 5}


class Net(nn.Module):
    """A frozen half with BatchNorm and a trained half with BatchNorm."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.trunk.requires_grad_(False)
        self.top = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
        self.register_buffer('small', torch.randn(2, dtype=torch.float16))
        self.register_buffer('count', torch.tensor(0))

    def train(self, mode=True):
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, x):
        return self.top(self.trunk(x))


class DriftingNet(Net):
    """Its frozen BatchNorm runs on batch statistics."""

    def train(self, mode=True):
        return nn.Module.train(self, mode)


def drift(model, seed):
    """As after an optimizer step: what trains moves, counters count."""
    generator = torch.Generator().manual_seed(seed)

    def move(tensor):
        noise = torch.rand(tensor.shape, generator=generator)
        tensor.add_(noise.to(tensor.dtype))

    with torch.no_grad():
        for param in model.parameters():
            if param.requires_grad:
                move(param)
        for module in model.modules():
            frozen = isinstance(module, nn.BatchNorm1d) and \
                not module.training
            for buffer in module.buffers(recurse=False):
                if buffer.is_floating_point() and not frozen:
                    move(buffer)
                elif not frozen:
                    buffer.add_(3)


def tensors(model):
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: t.detach().clone() for name, t in state.items()}


def frozen_names(model):
    return {n for n in tensors(model) if n.startswith('trunk.')}


@pytest.mark.parametrize('decay', [0.9, 0.5, 0.0])
def test_equals_torchs_average(decay):
    """swa_utils averages as Eq. 7 does from its second update on."""
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=decay)
    reference = AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    reference.update_parameters(model)  # the first one copies
    for step in range(4):
        drift(model, step)
        teacher.update_parameters(model)
        reference.update_parameters(model)
    expected = tensors(reference.module)
    for name, value in tensors(teacher.module).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize('update_buffers', [True, False])
def test_by_hand(update_buffers):
    model = Net().train()
    teacher = WeightAverageTeacher(
        model, ema_decay=0.75, update_buffers=update_buffers)
    expected = tensors(model)
    buffers = dict(model.named_buffers())
    for step in range(3):
        drift(model, step)
        teacher.update_parameters(model)
        for name, new in tensors(model).items():
            averages = new.is_floating_point() and (
                update_buffers or name not in buffers)
            expected[name] = (0.75 * expected[name] +
                              0.25 * new if averages else new)
    assert teacher.steps == 3
    got = tensors(teacher.module)
    for name, value in expected.items():
        # a lerp rounds otherwise than the two products, in half precision
        # by up to its spacing
        atol = 2e-3 if value.dtype == torch.float16 else 1e-6
        torch.testing.assert_close(
            got[name], value, rtol=0,
            atol=atol if value.is_floating_point() else 0)
    for name in ('top.1.running_mean', 'small'):
        same = torch.equal(got[name], tensors(model)[name])
        assert same == (not update_buffers)
    assert got['count'] == 9 == model.count  # an integer is copied
    assert got['top.1.num_batches_tracked'] == 9


def test_decay_zero_copies_bit_for_bit():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.0)
    drift(model, 0)
    teacher.update_parameters(model)
    got, expected = tensors(teacher.module), tensors(model)
    assert all(torch.equal(got[n], expected[n]) for n in expected)


def test_copy_from():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.999)
    drift(model, 0)
    teacher.copy_from(model)
    got, expected = tensors(teacher.module), tensors(model)
    assert all(torch.equal(got[n], expected[n]) for n in expected)
    assert teacher.steps == 0


def test_interval():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.5, interval=3)
    moved = []
    for step in range(7):
        before = tensors(teacher.module)
        drift(model, step)
        teacher.update_parameters(model)
        after = tensors(teacher.module)
        moved.append(not torch.equal(before['top.0.weight'],
                                     after['top.0.weight']))
    assert moved == [True, False, False] * 2 + [True]
    assert teacher.steps == 7


def test_warm_up_values():
    """(1 + t) / (10 + t) until ema_decay is reached: .1, 2/11, 3/12, ..."""
    decays = [effective_decay(0.5, t, warmup=True) for t in range(10)]
    assert decays == [(1 + t) / (10 + t) if t < 8 else 0.5
                      for t in range(10)]
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.2, warmup=True)
    weight = model.top[0].weight.detach().clone()
    for step, decay in enumerate([1 / 10, 2 / 11, 0.2, 0.2]):
        drift(model, step)
        teacher.update_parameters(model)
        weight = decay * weight + (1 - decay) * model.top[0].weight.detach()
        torch.testing.assert_close(teacher.module.top[0].weight, weight)


def test_warm_up_counts_updates_not_calls():
    model = Net().train()
    teacher = WeightAverageTeacher(
        model, ema_decay=0.9, warmup=True, interval=2)
    weight = model.top[0].weight.detach().clone()
    for step, decay in enumerate([1 / 10, None, 2 / 11, None]):
        drift(model, step)
        teacher.update_parameters(model)
        if decay is not None:
            now = model.top[0].weight.detach()
            weight = decay * weight + (1 - decay) * now
        torch.testing.assert_close(teacher.module.top[0].weight, weight)


def pointers(model):
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: t.data_ptr() for name, t in state.items()}


@pytest.mark.parametrize('mode', [True, False])
@pytest.mark.parametrize('net,shared', [(Net, True), (DriftingNet, False)])
def test_what_is_shared(net, shared, mode):
    """Whatever the student's mode is when the teacher is made.

    Running statistics that training moves are never shared, although the
    weights beside them are frozen.
    """
    model = net().train(mode)
    a, b = pointers(model), pointers(WeightAverageTeacher(model).module)
    norm = {n for n in a if n.startswith('trunk.1.') and
            n.split('.')[-1] not in ('weight', 'bias')}
    assert len(norm) == 3
    for name in a:
        expected = (shared if name in norm else name.startswith('trunk.'))
        assert (a[name] == b[name]) == expected, name
    assert [m.training for m in model.modules()] == [
        m.training for m in net().train(mode).modules()]


def test_trunk_statistics_are_averaged():
    model = DriftingNet().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.75)
    before = model.trunk[1].running_mean.clone()
    model(torch.randn(8, 3))
    now = model.trunk[1].running_mean
    assert not torch.equal(now, before)
    teacher.update_parameters(model)
    torch.testing.assert_close(teacher.module.trunk[1].running_mean,
                               0.75 * before + 0.25 * now)
    names = set(teacher.state_dict())
    assert {'module.trunk.1.running_mean', 'module.trunk.1.running_var',
            'module.trunk.1.num_batches_tracked'} < names
    assert 'module.trunk.1.weight' not in names


@pytest.mark.parametrize('trunk_norm', ['frozen', 'batch'])
def test_sharing_in_a_branch(trunk_norm):
    branch = Branch(
        dict(type='AudioResNet', base_channels=4),
        trunk_norm=trunk_norm).train()
    a, b = pointers(branch), pointers(WeightAverageTeacher(branch).module)
    trunk = {
        name: name.split('.')[-1] not in ('weight', 'bias') for name in a
        if name.startswith('backbone.') and 'layer4' not in name
    }
    assert sum(trunk.values()) == 3 * 15  # three buffers a BatchNorm
    for name in a:
        is_statistic = trunk.get(name, False)
        shared = name in trunk and (trunk_norm == 'frozen' or
                                    not is_statistic)
        assert (a[name] == b[name]) == shared, name


def test_swap_exchanges_and_twice_is_the_identity():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.5)
    drift(model, 0)
    teacher.update_parameters(model)
    objects = {n: p for n, p in model.named_parameters()}
    places = pointers(model), pointers(teacher.module)
    values = tensors(model), tensors(teacher.module)
    teacher.swap_with(model)
    for a, b in ((model, values[1]), (teacher.module, values[0])):
        got = tensors(a)
        assert all(torch.equal(got[n], b[n]) for n in b)
    assert pointers(model) == places[1]
    # the optimizer and DDP know the parameters by identity
    assert all(p is objects[n] for n, p in model.named_parameters())
    teacher.swap_with(model)
    assert (pointers(model), pointers(teacher.module)) == places
    got = tensors(model)
    assert all(torch.equal(got[n], v) for n, v in values[0].items())


def test_training_goes_on_after_a_swap():
    """Optimizer and gradients still belong to the student's tensors."""
    model = Net().train()
    teacher = WeightAverageTeacher(model)
    optimizer = torch.optim.SGD(model.top.parameters(), lr=1.0)
    teacher.swap_with(model)
    teacher.swap_with(model)
    kept, before = tensors(teacher.module), tensors(model)
    model(torch.randn(8, 3)).sum().backward()
    optimizer.step()
    after = tensors(teacher.module)
    assert all(torch.equal(kept[n], after[n]) for n in kept)
    assert not torch.equal(before['top.1.bias'], model.top[1].bias)


def test_state_dict_holds_its_own_tensors():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.5)
    own = set(tensors(model)) - frozen_names(model)
    expected = {'steps', *(f'module.{n}' for n in own)}
    assert set(teacher.state_dict()) == expected
    outer = nn.ModuleDict(dict(teacher=teacher))
    assert set(outer.state_dict()) == {f'teacher.{n}' for n in expected}
    drift(model, 0)
    teacher.update_parameters(model)
    other = WeightAverageTeacher(Net().train())
    missing, unexpected = other.load_state_dict(
        teacher.state_dict(), strict=False)
    assert not unexpected
    assert set(missing) == {f'module.{n}' for n in frozen_names(model)}
    assert other.steps == 1
    got, expected = tensors(other.module), tensors(teacher.module)
    assert all(torch.equal(got[n], expected[n]) for n in own)


def test_always_in_eval_mode_and_without_gradient():
    model = make_recognizer(DIMS).train()
    teacher = WeightAverageTeacher(model)
    nn.ModuleDict(dict(teacher=teacher)).train()
    teacher.train(True)
    assert not any(m.training for m in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert model.training
    assert any(p.requires_grad for p in model.parameters())


def test_calls_its_module():
    model = Net().eval()
    teacher = WeightAverageTeacher(model)
    assert isinstance(teacher, BaseAveragedModel)
    x = torch.randn(4, 3)
    assert torch.equal(teacher(x), model(x))


def test_deepcopy():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.5)
    drift(model, 0)
    teacher.update_parameters(model)
    clone = copy.deepcopy(teacher)
    assert teacher.pair_with(model).model is model  # still bound
    assert clone.state_dict().keys() == teacher.state_dict().keys()
    own = pointers(teacher.module)
    assert not set(own.values()) & set(pointers(clone.module).values())
    kept = tensors(teacher.module)
    drift(model, 1)
    clone.update_parameters(model)
    after = tensors(teacher.module)
    assert all(torch.equal(kept[n], after[n]) for n in kept)
    teacher.update_parameters(model)
    a, b = tensors(teacher.module), tensors(clone.module)
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert teacher.steps == clone.steps == 2


def test_another_student():
    model = Net().train()
    teacher = WeightAverageTeacher(model, ema_decay=0.5)
    other = copy.deepcopy(model)
    drift(other, 5)
    teacher.update_parameters(other)
    torch.testing.assert_close(
        teacher.module.top[0].weight,
        0.5 * model.top[0].weight + 0.5 * other.top[0].weight)


@pytest.mark.parametrize('kwargs,message', [
    (dict(ema_decay=1.0), 'ema_decay'), (dict(ema_decay=-0.1), 'ema_decay'),
    (dict(interval=0), 'interval')])
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        WeightAverageTeacher(Net(), **kwargs)
