"""Settings that the look-ahead cannot work with, refused before a step."""
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from toy import make_recognizer
from toy_runner import DIMS

from mbcd_mmaction.engine import CPUAmpOptimWrapper
from mbcd_mmaction.engine.hooks import GradientConsistencyHook
from mbcd_mmaction.models import MultiModalRecognizer


def start(model=None, order='first', optim_wrapper=None, **cfg):
    """The hook's check before training, without a Runner."""
    hook = GradientConsistencyHook(inner_lr=0.1, order=order)
    hook.before_train(SimpleNamespace(
        model=model or make_recognizer(DIMS), cfg=Config(cfg),
        optim_wrapper=optim_wrapper))
    return hook


@pytest.mark.parametrize('order', ['second', 'penalty', 'cosine'])
@pytest.mark.parametrize('compiled', [True, {}, dict(backend='eager')])
def test_differentiating_twice_cannot_be_compiled(order, compiled):
    with pytest.raises(ValueError, match='compile'):
        start(order=order, compile=compiled)
    start(order='first', compile=compiled)
    start(order=order, compile=False)
    start(order=order)


@pytest.mark.parametrize('order', ['second', 'penalty', 'cosine'])
def test_differentiating_twice_in_bfloat16_on_the_cpu(order):
    """oneDNN's convolution reads memory there that nobody wrote."""
    model = make_recognizer(DIMS)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match='bfloat16'):
        start(model, order, CPUAmpOptimWrapper(optimizer=optimizer))
    start(model, 'first', CPUAmpOptimWrapper(optimizer=optimizer))
    start(model, order, OptimWrapper(optimizer))


def test_checkpointed_activations_in_a_trained_stage():
    def model(with_cp, cut):
        backbone = dict(
            type='mmaction.ResNet3dSlowOnly', depth=18, pretrained=None,
            pretrained2d=False, base_channels=4, lateral=False,
            conv1_kernel=(1, 7, 7), inflate=(0, 0, 1, 1), with_cp=with_cp)
        return MultiModalRecognizer(
            branches={m: dict(backbone=backbone, trunk_stages=cut)
                      for m in 'ab'}, num_classes=3)

    with pytest.raises(ValueError, match=r'branches\.a\..*with_cp'):
        start(model(True, None))
    start(model(False, None))
