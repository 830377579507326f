"""The full-size model: shapes on the meta device, one step on small input.

The step runs in a process of its own, whose memory is measured.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config

ROOT = Path(__file__).parents[1]
# Millions of trained encoder parameters: SlowFast's two, SlowOnly, ResNet-18.
LAST_STAGE = dict(video=21.1 + 0.3, flow=20.2, audio=8.4)
GIB = 2**30
STEP = """
import json, resource, sys
import torch
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

config = Config.fromfile(sys.argv[1])
torch.manual_seed(0)
shapes = dict(video=(1, 3, 32, 64, 64), flow=(1, 2, 8, 64, 64))


@DATASETS.register_module()
class Clips(torch.utils.data.Dataset):
    metainfo = dict(classes=list('abcdefgh'))

    def __len__(self):
        return 2

    def __getitem__(self, index):
        inputs = {name: torch.randint(0, 256, shape, dtype=torch.uint8)
                  for name, shape in shapes.items()}
        inputs['audio'] = torch.randn(1, 1, 257, 200)
        sample = ActionDataSample().set_gt_label(index)
        sample.set_metainfo(dict(domain='D2'))
        return dict(inputs=inputs, data_samples=sample)


class Watch(Hook):

    def before_train(self, runner):
        # The host starts the last norm of a residual branch at zero: what is
        # before it gets no gradient if dropout masks its modality in both
        # clips of this one step.
        for name, param in runner.model.named_parameters():
            if '.layer4.' in name and not param.any():
                if name.endswith('bn.weight'):
                    param.data.fill_(0.1)
        self.before = copy(runner.model)

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        after = copy(runner.model)
        changed = {n for n in after if not torch.equal(after[n],
                                                       self.before[n])}
        last = {m: [n for n in after if n.startswith(f'branches.{m}.')
                    and 'layer4' in n] for m in runner.model.modalities}
        encoders = [n for n in after if '.backbone.' in n]
        print(json.dumps(dict(
            losses={k: float(v) for k, v in outputs.items()},
            sizes={m: sum(after[n].numel() for n in names)
                   for m, names in last.items()},
            still=[n for names in last.values() for n in names
                   if n not in changed],
            moved=[n for n in encoders if 'layer4' not in n
                   and n in changed],
            norms=[n for n in after if '.norm.' in n and n in changed])))


def copy(model):
    return {n: p.detach().clone() for n, p in model.named_parameters()}


for branch in config.model.branches.values():
    branch.checkpoint = None
for name in ('val_dataloader', 'val_cfg', 'val_evaluator',
             'test_dataloader', 'test_cfg', 'test_evaluator'):
    config.pop(name)
config.train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='Clips'),
    sampler=dict(type='DefaultSampler', shuffle=False))
config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
config.default_hooks = dict(checkpoint=None)
config.work_dir = sys.argv[2]
config.log_level = 'ERROR'
config.randomness = dict(seed=0)
runner = Runner.from_cfg(config)
runner.register_hook(Watch())
runner.train()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope='module')
def model():
    register_all_modules()
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(
            ROOT / 'configs/mbcd/epic_d1.py').model)


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


def one_step(name, place):
    """What the step reports, and the peak of the process's memory, bytes."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', STEP,
         str(ROOT / 'configs' / name), str(place)], cwd=place,
        capture_output=True, text=True, timeout=600,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1',
             'CUDA_VISIBLE_DEVICES': ''})
    assert done.returncode == 0, done.stderr[-3000:]
    report, kib = done.stdout.splitlines()[-2:]
    return json.loads(report), int(kib) * 1024


@pytest.mark.parametrize('name', ['mbcd/epic_d1.py',
                                  'mbcd_released/epic_d1.py'])
def test_one_step_on_a_cpu(name, tmp_path):
    report, peak = one_step(name, tmp_path)
    losses = report['losses']
    assert {'loss', 'loss_cls', 'loss_video', 'loss_flow',
            'loss_audio'} <= set(losses)
    assert len([key for key in losses if 'distill' in key]) >= 2
    assert all(value == value for value in losses.values())
    for modality, millions in LAST_STAGE.items():
        assert report['sizes'][modality] / 1e6 == pytest.approx(
            millions, abs=0.06)
    assert report['still'] == [] and report['moved'] == []
    assert (report['norms'] == []) == (name.startswith('mbcd_released'))
    # weights .4 GiB, gradients, Adam, teacher and fast weights .2 to .4 each
    assert peak < 3.5 * GIB
