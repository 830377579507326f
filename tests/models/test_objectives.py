"""Other methods in the recognizer: what they train, need and refuse."""
import pytest
import torch
from mmaction.registry import MODELS
from torch import nn
from toy import grads_of, make_batch, make_recognizer, make_samples, total_of
from toy_runner import DIMS, ToySet, assert_equal, make_runner, weights

from mbcd_mmaction.models import (
    LookAhead,
    MultiModalRecognizer,
    SimpleMovingAverage,
)
from mbcd_mmaction.models.objectives import AveragedNetwork

SMALL = dict(hidden_dims=6, projection_dims=4)
CONFIGS = dict(
    rna=dict(type='RNANet'), simmmdg=dict(type='SimMMDG', **SMALL),
    moosa=dict(type='MOOSA', num_permutations=5, jigsaw_hidden_dims=6,
               **SMALL),
    cmrf=dict(type='CMRF', **SMALL))
SMA = dict(type='SimpleMovingAverageHook', start_step=2)
HOOKS = dict(cmrf=[SMA])
PREPROCESSOR = dict(
    type='mmaction.MultiModalDataPreprocessor',
    preprocessors={m: dict(type='ActionDataPreprocessor', to_float32=False)
                   for m in DIMS})


@MODELS.register_module(force=True)
class NotAnObjective(nn.Module):

    def __init__(self, **kwargs):
        super().__init__()


def build(objective, seed=0, **kwargs):
    """The toy network with all weights drawn from one seed."""
    torch.manual_seed(seed)
    head = dict(hidden_channels=5, dropout_ratio=0.0)
    return MultiModalRecognizer(
        branches={m: dict(backbone=dict(type='ToyBackbone', in_dims=size))
                  for m, size in DIMS.items()},
        num_classes=3, unimodal_head=head, fusion_head=head,
        objective=objective, **kwargs).double()


def losses_of(model, teaches=True, data=None):
    """The losses on a random batch, or on all of a set's clips."""
    model.averaged = AveragedNetwork(SimpleMovingAverage(model).module,
                                     teaches)
    (inputs, samples), _ = make_batch(DIMS, num_samples=8)
    if data is not None:
        inputs = {m: x[:, None] for m, x in data.inputs.items()}
        samples = make_samples(data.labels)
    return model.loss(inputs, samples)


@pytest.mark.parametrize('name', CONFIGS)
def test_one_seed_gives_every_method_the_same_weights(name):
    plain, other = build(None), build(CONFIGS[name])
    after = torch.rand(3)
    state = other.state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert all(key.startswith('objective.')
               for key in state.keys() - plain.state_dict().keys())
    build(None)
    assert torch.equal(after, torch.rand(3))


@pytest.mark.parametrize('modalities', [None, ['audio', 'flow']])
@pytest.mark.parametrize('name', CONFIGS)
def test_every_parameter_learns(name, modalities):
    model = build(CONFIGS[name], modalities=modalities)
    losses = losses_of(model)
    total_of(losses).backward()
    assert [n for n, g in grads_of(model).items() if g is None] == []


@pytest.mark.parametrize('name', CONFIGS)
def test_heads_are_probes_unless_the_method_trains_them(name):
    model = build(CONFIGS[name])
    losses = losses_of(model)
    probes = [k for k in losses if k.startswith('loss_probe_')]
    assert bool(probes) != model.objective.trains_unimodal
    if probes:
        sum(losses[k] for k in probes).backward()
        reached = {n.split('.')[0] for n, g in grads_of(model).items()
                   if g is not None and g.any()}
        assert reached == {'unimodal_heads'}


def test_cmrf_without_its_average_is_refused():
    (inputs, samples), _ = make_batch(DIMS)
    with pytest.raises(RuntimeError, match='SimpleMovingAverageHook'):
        build(CONFIGS['cmrf']).loss(inputs, samples)


def test_cmrf_halves_audio_and_waits_for_its_teacher():
    model = build(CONFIGS['cmrf'])
    early = losses_of(model, teaches=False)
    assert 'loss_distill' not in early
    assert 'loss_distill' in losses_of(model)
    assert model.objective.modality_weights == dict(
        video=1.0, flow=1.0, audio=0.5)


def test_moosa_masks_without_rescaling():
    objective = build(dict(CONFIGS['moosa'], mask_ratio=0.3)).objective
    out = objective.corrupt(torch.ones(200, 50))
    assert set(out.unique().tolist()) == {0.0, 1.0}
    assert (out == 0).double().mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize('name', ['simmmdg', 'moosa', 'cmrf'])
def test_a_batch_of_one_clip_is_refused(name):
    model = build(CONFIGS[name])
    model.averaged = AveragedNetwork(SimpleMovingAverage(model).module)
    (inputs, samples), _ = make_batch(DIMS, num_samples=1)
    with pytest.raises(ValueError, match='drop_last=True'):
        model.loss(inputs, samples)
    assert model.eval().objective.projections['flow'](
        torch.ones(1, 2 if name != 'cmrf' else 4).double()).shape == (1, 4)


def test_no_objective_changes_nothing():
    (inputs, samples), _ = make_batch(DIMS)
    assert 'objective' not in ''.join(make_recognizer(DIMS).state_dict())
    assert make_recognizer(DIMS).objective is None
    with pytest.raises(TypeError, match='derives from Objective'):
        build(dict(type='NotAnObjective'))


def test_moving_average_is_the_uniform_mean():
    model = build(None)
    average, seen = SimpleMovingAverage(model), []
    for _ in range(4):
        with torch.no_grad():
            model.fusion_head.layers[0].weight.normal_()
        seen.append(model.fusion_head.layers[0].weight.detach().clone())
        average.update_parameters(model)
    torch.testing.assert_close(
        average.module.fusion_head.layers[0].weight,
        torch.stack(seen).mean(0))


@pytest.mark.parametrize('hook', [
    dict(type='GradientConsistencyHook', inner_lr=0.1),
    dict(type='WATeacherDistillHook')])
def test_terms_of_mbcd_are_refused(tmp_path, hook):
    runner = make_runner(tmp_path, [hook], objective=CONFIGS['rna'])
    steps = []
    runner.model.register_forward_pre_hook(lambda *_: steps.append(1))
    with pytest.raises(ValueError, match='takes the place of Eq. 9'):
        runner.train()
    assert steps == []  # at start


def test_terms_of_mbcd_are_refused_without_hooks():
    model = build(CONFIGS['rna'])
    model.lookahead = LookAhead(0.1)
    with pytest.raises(ValueError, match='takes the place of Eq. 9'):
        losses_of(model)


@pytest.mark.parametrize('name', CONFIGS)
def test_every_method_trains_and_lowers_its_loss(tmp_path, name):
    model = build(CONFIGS[name], data_preprocessor=PREPROCESSOR)
    before = losses_of(model.train(), data=ToySet())
    model.averaged = None
    average = dict(type='WATeacherDistillHook', distill_weight=0.0)
    make_runner(tmp_path, HOOKS.get(name, [average]), model=model,
                epochs=4).train()
    assert model.averaged is None
    after = losses_of(model.train(), data=ToySet())
    assert total_of(after) < total_of(before)


def cmrf_runner(work_dir, start_step, **kwargs):
    model = build(CONFIGS['cmrf'], data_preprocessor=PREPROCESSOR)
    return make_runner(work_dir, [dict(SMA, start_step=start_step)],
                       model=model, **kwargs)


# Three steps an epoch: before the break, at it, in the resumed epoch.
@pytest.mark.parametrize('start_step', [1, 3, 4])
def test_cmrf_resumed_equals_uninterrupted(tmp_path, start_step):
    whole = cmrf_runner(tmp_path / 'whole', start_step, epochs=3)
    whole.train()
    cmrf_runner(tmp_path / 'parts', start_step, epochs=1).train()
    rest = cmrf_runner(tmp_path / 'parts', start_step, epochs=3, resume=True)
    rest.train()
    assert_equal(weights(whole.model), weights(rest.model))
    a, b = (torch.load(tmp_path / part / 'epoch_3.pth', weights_only=True)
            for part in ('whole', 'parts'))
    assert_equal(a['state_dict'], b['state_dict'])
    assert_equal(a['ema_state_dict'], b['ema_state_dict'])
    assert a['ema_state_dict']['steps'] == 9 - start_step
    scalars = whole.message_hub.get_scalar('train/loss_distill')
    assert len(scalars.data[0]) == 9 - start_step - 1
