"""One training step of the full-size experiments, on small input.

In a process of its own, whose memory is measured.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
runner = Runner.from_cfg(config)
runner.register_hook(Watch())
runner.train()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


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
