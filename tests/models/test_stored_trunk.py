"""The recognizer on features that were stored."""
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode
from toy import make_batch, make_recognizer, total_of

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher
from mbcd_mmaction.models.stored_trunk import describe_trunk

DIMS = {'video': 6, 'flow': 3, 'audio': 5}


def stored_batch(model, inputs, samples, names):
    """The batch as a loader with a cache would give it."""
    features = {}
    for m in names:
        x = inputs[m]
        out = model.branches[m].trunk(x.flatten(0, 1))
        paths = [out] if isinstance(out, torch.Tensor) else out
        features[m] = [list(path.unflatten(0, x.shape[:2]))
                       for path in paths]
    for sample in samples:
        sample.set_metainfo(dict(trunk_cache={
            m: describe_trunk(model, m) for m in names}))
    return {m: x for m, x in inputs.items() if m not in names}, features


def make_mbcd(**kwargs):
    model = make_recognizer(DIMS, **kwargs)
    model.lookahead = LookAhead(0.1)
    teacher = WeightAverageTeacher(model)
    model.distiller = Distiller(teacher.module.fused_prob, 1.0)
    return model


@pytest.mark.parametrize('names', [list(DIMS), ['video', 'audio']])
def test_a_step_is_the_same_and_runs_no_stored_trunk(names):
    model = make_mbcd()
    (inputs, samples), _ = make_batch(DIMS)
    whole = model(inputs, samples, mode='loss')
    total_of(whole).backward()
    grads = [p.grad.clone() for p in model.parameters() if p.requires_grad]
    model.zero_grad()
    rest, features = stored_batch(model, inputs, samples, names)
    before = {m: b.backbone.trunk_calls for m, b in model.branches.items()}
    again = model(rest, samples, mode='loss', trunk_features=features)
    total_of(again).backward()
    assert again.keys() == whole.keys()
    for name in whole:
        assert torch.equal(again[name], whole[name]), name
    assert all(torch.equal(a, p.grad) for a, p in zip(
        grads, (p for p in model.parameters() if p.requires_grad),
        strict=True))
    assert {m: b.backbone.trunk_calls - before[m]
            for m, b in model.branches.items()} == {
                m: int(m not in names) for m in DIMS}


def test_predict_and_views():
    model = make_recognizer(DIMS).eval()
    (inputs, samples), _ = make_batch(DIMS)
    inputs = {**inputs, 'video': torch.randn(4, 3, 6).double()}
    whole = [s.pred_score.clone() for s in model(
        inputs, samples, mode='predict')]
    rest, features = stored_batch(model, inputs, samples, list(DIMS))
    again = model(rest, samples, mode='predict', trunk_features=features)
    # flow and sound are repeated after the trunk, not before
    for a, b in zip(whole, again, strict=True):
        torch.testing.assert_close(b.pred_score, a)
    tensors = model(rest, samples, trunk_features=features)
    assert tensors.shape == (12, 3)
    torch.testing.assert_close(tensors, model(inputs))


def test_half_precision_is_cast_to_the_weights():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    rest, features = stored_batch(model, inputs, samples, ['video'])
    features['video'] = [[x.half() for x in features['video'][0]]]
    losses = model(rest, samples, mode='loss', trunk_features=features)
    assert losses['loss_cls'].dtype == torch.float64


def refuse(model, samples, inputs, features, match):
    with pytest.raises(ValueError, match=match):
        model(inputs, samples, mode='loss', trunk_features=features)


def test_another_trunk_is_refused():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    batch = stored_batch(model, inputs, samples, ['video'])
    model(*batch[:1], samples, mode='loss', trunk_features=batch[1])
    with torch.no_grad():  # after the model has been asked once already
        model.branches['video'].backbone.conv1[0].weight += 1
    refuse(model, samples, *batch, "of 'video' are of another.* weights: ")


def test_unsaid_or_moving_trunks_are_refused():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    batch = stored_batch(model, inputs, samples, ['video'])
    samples[2].set_metainfo(dict(trunk_cache={}))
    refuse(model, samples, *batch, 'expected data samples whose trunk_cache')
    refuse(model, None, *batch, 'expected data samples whose trunk_cache')
    moving = make_recognizer(DIMS, trunk_norm='batch')
    refuse(moving, samples, *batch, "expected .* trunk_norm='frozen'")


def test_a_model_of_fewer_modalities_leaves_the_rest():
    model = make_recognizer(DIMS)
    (inputs, samples), _ = make_batch(DIMS)
    _, features = stored_batch(model, inputs, samples, list(DIMS))
    fewer = make_recognizer({m: DIMS[m] for m in ('video', 'flow')})
    for m in ('video', 'flow'):
        fewer.branches[m].load_state_dict(model.branches[m].state_dict())
    assert fewer({}, samples, trunk_features=features).shape == (4, 3)


def small_model(root, **video):
    cfg = Config.fromfile(root / 'configs/_base_/models/mini.py').model
    for branch in cfg.branches.values():
        branch.trunk_stages = None
    cfg.branches.flow.backbone.base_channels = 4
    cfg.branches.audio.backbone.base_channels = 4
    cfg.branches.video.update(video)
    init_default_scope('mmaction')
    return MODELS.build(cfg)


def test_what_describes_a_trunk(request):
    torch.manual_seed(0)
    model = small_model(request.config.rootpath)
    model.init_weights()
    same = small_model(request.config.rootpath)
    same.load_state_dict(model.state_dict())
    first = describe_trunk(model, 'video')
    assert describe_trunk(same, 'video') == first
    cut = small_model(request.config.rootpath, trunk_stages=2)
    cut.load_state_dict(model.state_dict())
    changed = describe_trunk(cut, 'video')
    assert {key for key in first if first[key] != changed[key]} == {
        'trunk_stages', 'layers', 'weights'}
    fresh = small_model(request.config.rootpath)
    fresh.load_state_dict(model.state_dict())
    fresh.branches.video.backbone.resample_rate = 8
    assert {k for k, v in describe_trunk(fresh, 'video').items()
            if v != first[k]} == {'layers'}
    flow = describe_trunk(model, 'flow')
    fresh.data_preprocessor.preprocessors.flow.mean += 1
    assert {k for k, v in describe_trunk(fresh, 'flow').items()
            if v != flow[k]} == {'preprocessing'}


def test_slowfast_pathways_stay_apart(request):
    model = small_model(request.config.rootpath).eval()
    inputs = dict(video=torch.randn(2, 1, 3, 8, 32, 32),
                  flow=torch.randn(2, 1, 2, 8, 32, 32),
                  audio=torch.randn(2, 1, 1, 65, 80))
    (_, samples), _ = make_batch(DIMS, num_samples=2)
    with torch.no_grad():
        whole = model(inputs)
        rest, features = stored_batch(model, inputs, samples, list(inputs))
        assert len(features['video']) == 2 and len(features['flow']) == 1
        assert torch.equal(
            model(rest, samples, trunk_features=features), whole)
        half = {m: [[x.half() for x in path] for path in paths]
                for m, paths in features.items()}
        with torch.autocast('cpu', torch.bfloat16):
            mixed = model(rest, samples, trunk_features=half)
    torch.testing.assert_close(mixed.float(), whole, rtol=.1, atol=.1)


def flops(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_a_step_is_cheaper_by_the_trunks(request):
    model = small_model(request.config.rootpath)
    model.lookahead = LookAhead(0.1)
    model.distiller = Distiller(
        WeightAverageTeacher(model).module.fused_prob, 1.0)
    inputs = dict(video=torch.randn(2, 1, 3, 8, 32, 32),
                  flow=torch.randn(2, 1, 2, 8, 32, 32),
                  audio=torch.randn(2, 1, 1, 65, 80))
    (_, samples), _ = make_batch(DIMS, num_samples=2)
    rest, features = stored_batch(model, inputs, samples, list(inputs))
    whole = flops(lambda: total_of(
        model(inputs, samples, mode='loss')).backward())
    stored = flops(lambda: total_of(model(
        rest, samples, mode='loss', trunk_features=features)).backward())
    trunks = flops(lambda: [model.branches[m].trunk(x.flatten(0, 1))
                            for m, x in inputs.items()])
    assert trunks > 0 and stored == whole - trunks
