"""MultiModalRecognizer beyond the step: prediction, options, errors."""
import copy

import pytest
import torch
from mmaction.structures import ActionDataSample
from toy import make_batch, make_recognizer, make_samples, total_of

from mbcd_mmaction.models import LookAhead

DIMS = {'video': 6, 'flow': 3, 'audio': 5}


def predict(model, inputs, samples=None, **kwargs):
    with torch.no_grad():
        return model.eval()(inputs, samples, mode='predict', **kwargs)


def test_any_names_and_number():
    dims = {'depth': 2, 'imu': 3, 'thermal': 4, 'text': 5, 'radar': 2}
    model = make_recognizer(dims, modality_dropout=dict(
        type='AdaptiveModalityDropout'))
    (inputs, samples), _ = make_batch(dims)
    losses = model(inputs, samples, mode='loss')
    assert {f'loss_{m}' for m in dims} < losses.keys()
    total_of(losses).backward()
    out = predict(model, inputs, samples)
    assert out[0].modality_scores.keys() == dims.keys()


def test_predict_gives_fused_and_each():
    model = make_recognizer(DIMS).eval()
    (inputs, samples), _ = make_batch(DIMS)
    out = predict(model, inputs, samples)
    logits = model(inputs, mode='tensor')
    z = model(inputs, mode='tensor', stage='backbone')
    for i, sample in enumerate(out):
        torch.testing.assert_close(sample.pred_score, logits[i].softmax(0))
        assert sample.pred_label.item() == logits[i].argmax()
        for m in DIMS:
            own = model.unimodal_heads[m](z[m])[i].softmax(0)
            torch.testing.assert_close(sample.modality_scores[m], own)
    assert model.cls_head is model.fusion_head


def masked(model, inputs, absent):
    """Fused scores with some embeddings multiplied by 0."""
    z = model(inputs, mode='tensor', stage='backbone')
    z = {m: v * (m not in absent) for m, v in z.items()}
    return model.fuse(z).softmax(1)


def test_modality_absent_from_the_batch():
    model = make_recognizer(DIMS).eval()
    (inputs, _), _ = make_batch(DIMS)
    expected = masked(model, inputs, {'flow'})
    partial = {m: x for m, x in inputs.items() if m != 'flow'}
    for out in (predict(model, partial, None),
                predict(model, inputs, None, modalities=['audio', 'video'])):
        got = torch.stack([s.pred_score for s in out])
        torch.testing.assert_close(got, expected)
        assert out[0].modality_scores.keys() == {'video', 'audio'}
    model.test_modalities = ['video', 'audio']
    got = torch.stack([s.pred_score for s in predict(model, inputs)])
    torch.testing.assert_close(got, expected)


def test_modality_absent_from_one_clip():
    model = make_recognizer(DIMS).eval()
    (inputs, samples), _ = make_batch(DIMS)
    samples[1].set_field(dict(video=False), 'modality_mask')
    out = predict(model, inputs, samples)
    torch.testing.assert_close(
        out[1].pred_score, masked(model, inputs, {'video'})[1])
    torch.testing.assert_close(
        out[0].pred_score, masked(model, inputs, set())[0])
    assert 'video' not in out[1].modality_scores
    assert 'video' in out[0].modality_scores


def test_nothing_left_to_predict_from():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    with pytest.raises(ValueError, match='no modality'):
        predict(model, {}, samples)
    with pytest.raises(ValueError, match="'smell'"):
        predict(model, inputs, samples, modalities=['smell'])
    samples[0].set_field(dict.fromkeys(DIMS, False), 'modality_mask')
    with pytest.raises(ValueError, match='none of the modalities'):
        predict(model, inputs, samples)


def test_training_needs_every_modality():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    del inputs['audio']
    with pytest.raises(ValueError, match="lack the modalities .'audio'"):
        model(inputs, samples, mode='loss')


@pytest.mark.parametrize('average,expected', [
    ('prob', lambda x: x.softmax(-1).mean(1)),
    ('score', lambda x: x.mean(1).softmax(-1)),
    (None, lambda x: x)])
def test_views_of_a_clip(average, expected):
    """Two views of video and flow, one of audio."""
    head = dict(hidden_channels=5, dropout_ratio=0.0, average_clips=average)
    model = make_recognizer(DIMS, fusion_head=head)
    (a, samples), _ = make_batch(DIMS, seed=0)
    (b, _), _ = make_batch(DIMS, seed=1)
    inputs = {m: torch.cat([a[m], b[m]], 1) for m in ('video', 'flow')}
    inputs['audio'] = a['audio']
    out = predict(model, inputs, samples)
    views = torch.stack([
        model(a, mode='tensor'),
        model({**b, 'audio': a['audio']}, mode='tensor')], 1)
    torch.testing.assert_close(
        torch.stack([s.pred_score for s in out]), expected(views))


def test_views_that_do_not_fit():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    inputs['video'] = inputs['video'].repeat(1, 3, 1)
    inputs['flow'] = inputs['flow'].repeat(1, 2, 1)
    with pytest.raises(ValueError, match='number of views'):
        model(inputs, samples, mode='loss')


def test_inputs_are_not_mutated():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    before = copy.deepcopy(inputs)
    model.lookahead = LookAhead(0.1)
    total_of(model(inputs, samples, mode='loss')).backward()
    predict(model, inputs, samples)
    assert inputs.keys() == before.keys()
    assert all(torch.equal(inputs[m], before[m]) for m in inputs)


def test_probes_leave_the_encoders_alone():
    """At weight 0 an encoder's gradient is the fused loss' alone."""
    (inputs, samples), _ = make_batch(DIMS)
    grads = {}
    for weight in (0.0, 1.0):
        model = make_recognizer(DIMS, unimodal_loss_weight=weight)
        losses = model(inputs, samples, mode='loss')
        if weight:
            losses['loss_cls'].backward()
        else:
            assert {f'loss_probe_{m}' for m in DIMS} < losses.keys()
            total_of(losses).backward()
        grads[weight] = model
    for name, p in grads[0.0].named_parameters():
        q = dict(grads[1.0].named_parameters())[name]
        if name.startswith(('branches', 'fusion_head')) and p.requires_grad:
            torch.testing.assert_close(p.grad, q.grad, rtol=0, atol=1e-12)
        if name.startswith('unimodal_heads'):
            assert p.grad.abs().sum() > 0


def test_dropped_rows_send_no_gradient():
    from toy import FixedMask
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    ones = torch.ones(4, 1, dtype=torch.float64)
    model.modality_dropout = FixedMask(
        dict(video=0 * ones, flow=ones, audio=ones))
    losses = model(inputs, samples, mode='loss')
    losses['loss_cls'].backward()
    grads = {m: b.norm.weight.grad for m, b in model.branches.items()}
    assert grads['video'].abs().sum() == 0  # present (DDP), but zero
    assert grads['flow'].abs().sum() > 0


def test_layer_norm_can_be_frozen():
    model = make_recognizer(DIMS, train_layer_norm=False)
    assert not any(p.requires_grad for b in model.branches.values()
                   for p in b.norm.parameters())
    assert all('norm' not in n for ps in model.encoder_params().values()
               for n in ps)


def test_subset_of_branches_is_built():
    model = make_recognizer({'video': 6, 'audio': 5}, branches={
        m: dict(backbone=dict(type='ToyBackbone', in_dims=s))
        for m, s in DIMS.items()}, modalities=['video', 'audio'])
    assert list(model.branches) == ['video', 'audio']


@pytest.mark.parametrize('kwargs,message', [
    (dict(modalities=['depth', 'video']),
     r"modalities must be keys of branches: got \['depth'\], branches has "
     r"\['audio', 'flow', 'video'\]"),
    (dict(modalities=['video']), 'at least two'),
    (dict(modalities=['video', 'video']), 'at least two different'),
    (dict(trunk_norm='off'), 'trunk_norm'),
    (dict(modality_dropout=dict(type='FixedModalityDropout', prob=1.0)),
     'prob'),
    (dict(modality_dropout=dict(type='AdaptiveModalityDropout',
                                granularity='clip')), 'granularity'),
])
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_recognizer(DIMS, **kwargs)


def test_several_labels_are_refused():
    model = make_recognizer(DIMS)
    (inputs, _), _ = make_batch(DIMS)
    samples = [ActionDataSample().set_gt_label([0, 1]) for _ in range(4)]
    with pytest.raises(ValueError, match='one label'):
        model(inputs, samples, mode='loss')


def test_unknown_mode_and_stage():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    with pytest.raises(ValueError, match='mode'):
        model(inputs, samples, mode='train')
    with pytest.raises(ValueError, match='stage'):
        model(inputs, mode='tensor', stage='neck')


class NormStage(torch.nn.Module):
    """A last stage with BatchNorm, to watch its statistics."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Identity()
        self.layer1 = torch.nn.Sequential(
            torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.res_layers = ['layer1']
        self.feat_dim = 4


@pytest.mark.parametrize('update,updates', [(True, 2), (False, 1)])
def test_statistics_at_fast_weights(update, updates):
    from mmaction.registry import MODELS

    from mbcd_mmaction.models.stages import ResNetStages, register_stages
    MODELS.register_module(module=NormStage, force=True)
    register_stages(NormStage, ResNetStages)
    from mbcd_mmaction.models import MultiModalRecognizer
    model = MultiModalRecognizer(
        branches={m: dict(backbone=dict(type='NormStage'))
                  for m in 'ab'},
        num_classes=3, update_bn_at_fast_weights=update).train()
    model.lookahead = LookAhead(0.1)
    inputs = {m: torch.randn(4, 1, 3) for m in 'ab'}
    run, passes = model.run_trunk, []

    def run_trunk(views, number):
        passes.append(number)
        return run(views, number)

    model.run_trunk = lambda views, passes=1: run_trunk(views, passes)
    total_of(model(inputs, make_samples([0, 1, 2, 0]),
                   mode='loss')).backward()
    assert passes == [updates]  # what a trunk on batch statistics counts
    norm = model.branches['a'].backbone.layer1[1]
    assert norm.num_batches_tracked == updates
    z = model.branches['a'].backbone.layer1[0](inputs['a'].flatten(0, 1))
    kept = 0.9**updates
    if updates == 1:
        torch.testing.assert_close(norm.running_mean,
                                   (1 - kept) * z.mean(0))


def test_dsu_perturbs_pass_one_only():
    from mbcd_mmaction.models import DSU
    calls = []

    class Counting(DSU):

        def forward(self, x):
            calls.append(self.training)
            return x

    model = make_recognizer(DIMS).train()
    model.feature_perturbation = Counting()
    model.lookahead = LookAhead(0.1)
    (inputs, samples), _ = make_batch(DIMS)
    model(inputs, samples, mode='loss')
    assert len(calls) == 2 * len(DIMS)  # trunk and last stage, pass 1
    perturb = DSU(prob=1.0)
    x = torch.randn(4, 3, 5, 5)
    assert not torch.equal(perturb(x), x)
    assert torch.equal(perturb.eval()(x), x)
    assert torch.equal(perturb.train()(x[:1]), x[:1])
