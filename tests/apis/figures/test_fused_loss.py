"""The loss that flatness moves weights under is predict's."""
import copy

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmaction.utils import register_all_modules
from trained_runs import mini_config, save_checkpoint

from mbcd_mmaction.analysis.flatness import cross_entropy, loss_at_radii
from mbcd_mmaction.apis.figures.fused_loss import (
    fused_loss,
    fused_weights,
    hold_clips,
)
from mbcd_mmaction.apis.figures.trained import (
    FUSED,
    build_loader,
    load_trained,
    predict,
)


def cut_model():
    """Two audio branches, one with a frozen trunk."""
    register_all_modules()
    backbone = dict(type='AudioResNet', depth=18, base_channels=4)
    model = MODELS.build(dict(
        type='MultiModalRecognizer', num_classes=3,
        branches=dict(low=dict(backbone=backbone),
                      high=dict(backbone=backbone, trunk_stages=-1)),
        data_preprocessor=dict(
            type='MultiModalDataPreprocessor',
            preprocessors={m: dict(type='ActionDataPreprocessor',
                                   format_shape='NCHW')
                           for m in ('low', 'high')})))
    return model.eval()


def batches(views=1):
    """A list of two batches, of three clips and of one."""
    made = []
    for labels in ([0, 1, 2], [1]):
        samples = [ActionDataSample().set_gt_label(y) for y in labels]
        made.append(dict(
            inputs={m: [torch.randn(views, 1, 32, 24) for _ in labels]
                    for m in ('low', 'high')},
            data_samples=samples))
    return made


def of_predict(model, loader):
    """The same loss by way of predict."""
    found = predict(model, loader)
    return cross_entropy(found.scores[FUSED], found.labels)


def test_what_enters_the_fused_prediction():
    model = cut_model()
    weights = fused_weights(model)
    params = dict(model.named_parameters())
    assert all(weights[name] is params[name] for name in weights)
    assert {name.split('.')[0] for name in weights} == {'branches',
                                                        'fusion_head'}
    low = {name.split('.')[3] for name in weights
           if name.startswith('branches.low.backbone')}
    assert low == {'layer4'}  # what lies below is frozen
    assert 'branches.low.norm.weight' in weights
    # no more and no less than what has a gradient
    model.extract_feat({m: torch.randn(2, 1, 1, 32, 24)
                        for m in ('low', 'high')}).sum().backward()
    assert {name for name, p in params.items() if p.grad is not None} == set(
        weights)


@pytest.mark.parametrize('views', [1, 2])
def test_behind_the_trunk_to_the_last_digit(views):
    model, loader = cut_model(), batches(views)
    held = hold_clips(model, loader)
    assert fused_loss(model, held) == of_predict(model, loader)
    calls = []
    for module in model.branches['low'].trunk_modules:
        module.register_forward_hook(lambda *given: calls.append(given[0]))
    fused_loss(model, held)
    assert not calls  # the trunk does not run again


def test_unread_clips_are_left_out():
    model, loader = cut_model(), batches()
    loader[0]['data_samples'][1].set_metainfo(dict(skipped=True))
    assert len(predict(model, loader).labels) == 3
    assert fused_loss(model, hold_clips(model, loader)) == of_predict(
        model, loader)


def test_a_perturbed_model_is_the_model_perturbed():
    """At each radius predict agrees, and the model is as before."""
    model, loader = cut_model(), batches()
    before = copy.deepcopy(model.state_dict())
    held = hold_clips(model, loader)
    weights = fused_weights(model)
    seen = []

    def loss():
        seen.append(of_predict(model, loader))
        return fused_loss(model, held)

    losses = loss_at_radii(weights, loss, [0.0, .5, 2.0], directions=2)
    assert seen == [losses[0, 0], *losses[:, 1:].ravel()]
    assert len(set(losses.ravel().tolist())) == 5
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_shipped_config(mini_root, tmp_path):
    cfg = mini_config(mini_root)
    save_checkpoint(cfg, tmp_path / 'c.pth')
    model = load_trained(cfg, tmp_path / 'c.pth')
    loader = build_loader(cfg, 'val', max_clips=6)
    held = hold_clips(model, loader)
    losses = loss_at_radii(fused_weights(model),
                           lambda: fused_loss(model, held), [0.0, .5], 2)
    assert losses[0, 0] == of_predict(model, loader)
    assert np.isfinite(losses).all() and losses[0, 1] != losses[0, 0]
