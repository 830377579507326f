"""Adam in one kernel: the numbers of Adam, and a way on where it lacks."""
import copy
import math

import pytest
import torch
from mmaction.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from toy_runner import MBCD, MBCD_MODEL, make_runner, weights

from mbcd_mmaction.engine import FusedAdam, optimizers

SETTING = dict(lr=0.05, weight_decay=1e-2)
CLOSE = dict(rtol=1e-5, atol=1e-7)


def make_model(dtype=torch.float32):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    model[0].bias.requires_grad_(False)
    return model.to(dtype)


def loss_of(model, seed=0):
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    return model(x.to(model[0].weight.dtype)).square().sum()


def take_steps(model, optimizer, scaler=None, count=4):
    for seed in range(count):
        optimizer.zero_grad()
        loss = loss_of(model, seed)
        if scaler is None:
            loss.backward()
            optimizer.step()
            continue
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


def assert_close(a, b, **tolerance):
    for name, value in b.state_dict().items():
        torch.testing.assert_close(a.state_dict()[name], value,
                                   **(tolerance or CLOSE))


def fused_groups(optimizer):
    return [group['fused'] for group in optimizer.param_groups]


@pytest.mark.parametrize('dtype,tolerance', [
    (torch.float32, CLOSE), (torch.float64, dict(rtol=0, atol=1e-12))])
def test_equals_adam(dtype, tolerance):
    models = make_model(dtype), make_model(dtype)
    start = make_model(dtype)
    fused = FusedAdam(models[0].parameters(), **SETTING)
    assert fused_groups(fused) == [True]
    take_steps(models[0], fused)
    take_steps(models[1], torch.optim.Adam(models[1].parameters(),
                                           **SETTING))
    assert_close(*models, **tolerance)
    assert torch.equal(models[0][0].bias, start[0].bias)  # frozen
    assert not torch.allclose(models[0][0].weight, start[0].weight)


@pytest.mark.parametrize('wrapper,tolerance', [
    (dict(type='OptimWrapper'), CLOSE),
    (dict(type='OptimWrapper', accumulative_counts=2,
          clip_grad=dict(max_norm=0.5)), CLOSE),
    (dict(type='CPUAmpOptimWrapper', accumulative_counts=2), CLOSE)])
def test_under_the_wrappers(wrapper, tolerance):
    models = make_model(), make_model()
    for model, kind in zip(models, ('FusedAdam', 'Adam'), strict=True):
        optimizer = OPTIMIZERS.build(
            dict(type=kind, params=model.parameters(), **SETTING))
        wrapped = OPTIM_WRAPPERS.build({**wrapper, 'optimizer': optimizer})
        wrapped.initialize_count_status(model, 0, 4)
        for seed in range(4):
            with wrapped.optim_context(model):
                loss = loss_of(model, seed).float()
            wrapped.update_params(loss)
    assert_close(*models, **tolerance)


def test_under_a_loss_scaler():
    """A scale that overflows on purpose skips the step of both."""
    models = make_model(), make_model()
    scales = []
    for model, kind in zip(models, (FusedAdam, torch.optim.Adam),
                           strict=True):
        scaler = torch.amp.GradScaler('cpu', init_scale=3e38)
        take_steps(model, kind(model.parameters(), **SETTING), scaler, 6)
        scales.append(scaler.get_scale())
    assert scales[0] == scales[1] < 3e38
    assert_close(*models)
    assert not torch.allclose(models[0][0].weight, make_model()[0].weight)


@pytest.mark.parametrize('scaled', [True, False])
@pytest.mark.parametrize('first,then', [
    (torch.optim.Adam, FusedAdam), (FusedAdam, torch.optim.Adam),
    (FusedAdam, FusedAdam)])
def test_resumes_what_either_saved(first, then, scaled):
    saved, straight = make_model(), make_model()
    optimizer = first(saved.parameters(), **SETTING)
    take_steps(saved, optimizer)
    state = copy.deepcopy(optimizer.state_dict())
    resumed = then(saved.parameters(), **SETTING)
    resumed.load_state_dict(state)
    if then is FusedAdam:
        assert fused_groups(resumed) == [True]
        assert state['param_groups'][0]['fused'] is (
            True if first is FusedAdam else None)
    scaler = torch.amp.GradScaler('cpu', init_scale=4.) if scaled else None
    take_steps(saved, resumed, scaler)
    plain = torch.optim.Adam(straight.parameters(), **SETTING)
    take_steps(straight, plain)
    take_steps(straight, plain)
    assert_close(saved, straight)


def test_why_adam_alone_does_not_resume():
    """PyTorch takes `fused` from the file; if this fails, the class may go."""
    model = make_model()
    old = torch.optim.Adam(model.parameters(), **SETTING)
    take_steps(model, old)
    new = torch.optim.Adam(model.parameters(), fused=True, **SETTING)
    new.load_state_dict(old.state_dict())
    assert fused_groups(new) == [None]
    with pytest.raises(AssertionError):
        take_steps(model, new, torch.amp.GradScaler('cpu', init_scale=4.))


def test_without_a_kernel_it_is_adam(monkeypatch):
    asked = []
    monkeypatch.setattr(optimizers, '_has_kernel',
                        lambda *kind: asked.append(kind))
    told = []
    monkeypatch.setattr(optimizers, 'print_log',
                        lambda text, *_: told.append(text))
    models = make_model(), make_model()
    take_steps(models[0], FusedAdam(models[0].parameters(), **SETTING))
    take_steps(models[1], torch.optim.Adam(models[1].parameters(),
                                           **SETTING))
    assert asked == [(torch.device('cpu'), torch.float32)]
    assert told == ["no fused Adam for torch.float32 on cpu: steps run as "
                    "PyTorch's default Adam"]
    assert_close(*models, rtol=0, atol=0)


def test_the_kernel_is_asked_for():
    assert optimizers._has_kernel(torch.device('cpu'), torch.float32)
    assert not optimizers._has_kernel(torch.device('meta'), torch.float32)


def test_groups():
    model = make_model()
    groups = [dict(params=[model[0].weight], lr=0.1),
              dict(params=model[2].parameters())]
    optimizer = FusedAdam(groups, lr=0.01)
    assert [g['lr'] for g in optimizer.param_groups] == [0.1, 0.01]
    assert fused_groups(optimizer) == [True, True]
    assert len(optimizer.param_groups[1]['params']) == 2


@pytest.mark.parametrize('name', ['fused', 'foreach'])
def test_refuses_what_it_chooses(name):
    with pytest.raises(TypeError, match=f"chooses .'{name}'.* itself"):
        FusedAdam(make_model().parameters(), **{name: True})


def test_a_training_resumes_from_one_of_adam(tmp_path):
    """In the Runner, with both hooks: near the training without it."""
    def optim(kind):
        return dict(type='OptimWrapper', optimizer=dict(type=kind, lr=0.05))

    make_runner(tmp_path, MBCD, epochs=1, optim_wrapper=optim('Adam'),
                **MBCD_MODEL).train()
    rest = make_runner(tmp_path, MBCD, epochs=2, resume=True,
                       optim_wrapper=optim('FusedAdam'), **MBCD_MODEL)
    rest.train()
    assert fused_groups(rest.optim_wrapper.optimizer) == [True]
    whole = make_runner(tmp_path / 'whole', MBCD, epochs=2,
                        optim_wrapper=optim('Adam'), **MBCD_MODEL)
    whole.train()
    assert rest.iter == whole.iter == 6
    a, b = weights(rest.model), weights(whole.model)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-10)
    assert all(math.isfinite(float(t.sum())) for t in a.values())
