"""The full-size model: its shapes on the meta device, one real step."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/mbcd/epic_d1.py'


@pytest.fixture(scope='module')
def model():
    register_all_modules()
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(CONFIG).model)


def test_shapes_at_the_cut(model):
    """data.md's table of the pretrained networks, at 224 pixels."""
    inputs = dict(video=(1, 3, 32, 224, 224), flow=(1, 2, 8, 224, 224),
                  audio=(1, 1, 257, 1004))
    views = {m: torch.empty(shape, device='meta')
             for m, shape in inputs.items()}
    found = model.run_trunk(views)
    shapes = {m: [tuple(x.shape[1:]) for x in
                  (h if isinstance(h, (tuple, list)) else [h])]
              for m, h in found.items()}
    assert shapes == dict(video=[(1280, 8, 14, 14), (128, 32, 14, 14)],
                          flow=[(1024, 8, 14, 14)], audio=[(256, 17, 63)])
    embeddings = {m: model.branches[m](h).shape for m, h in found.items()}
    assert embeddings == dict(video=(1, 2304), flow=(1, 2048),
                              audio=(1, 512))


def test_trainable_last_stages(model):
    """In millions: slow 21.1, fast .3, flow 20.2, audio 8.4."""
    counts = dict.fromkeys(['slow_path', 'fast_path', 'flow', 'audio'], 0)
    for name, param in model.branches.named_parameters():
        if 'backbone' in name and param.requires_grad:
            assert '.layer4.' in name
            key, = [key for key in counts if key in name]
            counts[key] += param.numel()
    assert {k: round(n / 1e6, 1) for k, n in counts.items()} == dict(
        slow_path=21.1, fast_path=0.3, flow=20.2, audio=8.4)


def test_one_training_step(tmp_path):
    """MBCD with both hooks in the Runner: what moves, and the memory."""
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tests/full_size_step.py'), str(CONFIG),
         str(tmp_path)], capture_output=True, text=True, cwd=ROOT,
        env=None)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert {'loss', 'loss_cls', 'loss_video', 'loss_flow', 'loss_audio',
            'loss_distill_fused', 'loss_distill_video', 'loss_distill_flow',
            'loss_distill_audio'} <= set(found['losses'])
    assert all(0 <= value < 100 for value in found['losses'].values())
    assert found['losses']['loss_distill_fused'] > 0
    assert set(found['moved']) == set(found['trainable'])
    assert not [name for name in found['moved'] if 'backbone' in name
                and '.layer4.' not in name]
    assert any('.layer4.' in name for name in found['moved'])
    assert 105e6 < sum(found['parameters'].values()) < 115e6
    assert found['peak_mib'] < 6 * 1024
