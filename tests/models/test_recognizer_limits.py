"""What the recognizer refuses, and what it must not let slip by."""
import pytest
import torch
from mmengine.model import BaseModel
from toy import FixedMask, make_batch, make_recognizer, total_of

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher

DIMS = {'video': 6, 'flow': 3, 'audio': 5}


@pytest.mark.parametrize('name', ['gloss', 'loss'])
def test_a_name_that_would_count_as_a_loss(name):
    """The host sums every log entry whose name contains 'loss'."""
    with pytest.raises(ValueError, match="'loss'"):
        make_recognizer({'video': 6, name: 3})


def test_the_host_sums_the_losses_alone():
    """Ratios, probabilities and confidences are logged, not minimised."""
    model = make_recognizer(DIMS, modality_dropout=dict(
        type='AdaptiveModalityDropout'))
    model.distiller = Distiller(
        WeightAverageTeacher(model).module.fused_prob, 1.0)
    model.lookahead = LookAhead(0.1)
    (inputs, samples), _ = make_batch(DIMS)
    losses = model(inputs, samples, mode='loss')
    total, log = BaseModel.parse_losses(model, losses)
    terms = ['cls', *DIMS, *(f'distill_{t}' for t in ('fused', *DIMS))]
    expected = sum(losses[f'loss_{t}'] for t in terms)
    torch.testing.assert_close(total, expected)
    assert {f'{kind}_{m}' for m in DIMS for kind in (
        'dominance_ratio', 'drop_prob', 'confidence')} < log.keys()
    # in [N / K, N]: Eq. 2 sums over the batch
    assert all(4 / 3 <= float(log[f'confidence_{m}']) <= 4 for m in DIMS)


def test_training_on_a_clip_that_lacks_a_modality_is_refused():
    """Zeros in place of a modality are not data to learn from."""
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    samples[2].set_field(dict(video=True, flow=False), 'modality_mask')
    with pytest.raises(ValueError, match="'flow'"):
        model(inputs, samples, mode='loss')
    samples[2].set_field(dict.fromkeys(DIMS, True), 'modality_mask')
    model(inputs, samples, mode='loss')


def test_unknown_test_modalities_at_once():
    """Not in the first validation, an epoch later."""
    with pytest.raises(ValueError, match="'smell'"):
        make_recognizer(DIMS, test_modalities=['video', 'smell'])
    model = make_recognizer(DIMS, test_modalities=['video'])
    assert model.test_modalities == ['video']


def test_eval_mode_drops_and_perturbs_nothing():
    """loss() under model.eval() is deterministic."""
    model = make_recognizer(
        DIMS, modality_dropout=dict(type='FixedModalityDropout', prob=0.9),
        feature_perturbation=dict(type='DSU', prob=1.0)).eval()
    model.lookahead = LookAhead(0.1)
    (inputs, samples), _ = make_batch(DIMS)
    a = model(inputs, samples, mode='loss')
    b = model(inputs, samples, mode='loss')
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert all(a[f'drop_prob_{m}'] == 0 for m in DIMS)
    whole = make_recognizer(DIMS).eval()
    whole.lookahead = LookAhead(0.1)
    c = whole(inputs, samples, mode='loss')
    assert torch.equal(a['loss_cls'], c['loss_cls'])


def test_probes_with_distillation():
    """At uni-modal weight 0 Eq. 8's uni-modal terms train the probes."""
    grads = {}
    for weight in (1.0, {'fused': 1.0}):
        model = make_recognizer(DIMS, unimodal_loss_weight=0.0)
        other = make_recognizer(DIMS)
        with torch.no_grad():
            other.fusion_head.layers[3].weight.mul_(3)  # a teacher apart
        model.distiller = Distiller(other.eval().fused_prob, weight)
        (inputs, samples), _ = make_batch(DIMS)
        total_of(model(inputs, samples, mode='loss')).backward()
        grads[isinstance(weight, dict)] = {
            n: p.grad for n, p in model.named_parameters()
            if p.requires_grad}
    for name, grad in grads[True].items():
        probe = name.startswith('unimodal_heads')
        same = torch.allclose(grad, grads[False][name], rtol=0, atol=1e-14)
        assert same == (not probe), name


def test_a_mask_for_the_whole_batch_and_views():
    """(1, 1) masks and two views of each clip."""
    model = make_recognizer(DIMS, modality_dropout=dict(
        type='AdaptiveModalityDropout', base_drop_prob=0.5,
        granularity='batch')).train()
    model.lookahead = LookAhead(0.1)
    (a, samples), _ = make_batch(DIMS, seed=0)
    (b, _), _ = make_batch(DIMS, seed=1)
    inputs = {m: torch.cat([a[m], b[m]], 1) for m in ('video', 'flow')}
    inputs['audio'] = a['audio']
    total_of(model(inputs, samples, mode='loss')).backward()
    rows = {m: torch.ones(8, 1, dtype=torch.float64) for m in DIMS}
    rows['video'][3] = 0
    model.modality_dropout = FixedMask(rows)
    assert model(inputs, samples, mode='loss')['loss_cls'].isfinite()


def test_predictions_of_the_test_step_without_a_modality():
    """Through the host's preprocessor, as tools/test.py goes."""
    model = make_recognizer(DIMS, data_preprocessor=dict(
        type='mmaction.MultiModalDataPreprocessor',
        preprocessors={
            m: dict(type='ActionDataPreprocessor', to_float32=False)
            for m in DIMS
        })).eval()
    (inputs, samples), _ = make_batch(DIMS)

    def batch(names):
        return dict(
            inputs={m: list(inputs[m]) for m in names},
            data_samples=[s.clone() for s in samples])

    partial = model.test_step(batch(['flow', 'audio']))
    whole = model.test_step(batch(DIMS))
    assert partial[0].modality_scores.keys() == {'flow', 'audio'}
    model.test_modalities = ['audio', 'flow']
    subset = model.test_step(batch(DIMS))
    for a, b, c in zip(partial, subset, whole, strict=True):
        assert torch.equal(a.pred_score, b.pred_score)
        assert not torch.equal(a.pred_score, c.pred_score)
