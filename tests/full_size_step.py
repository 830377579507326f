"""One training step of the full-size MBCD model; prints what it saw.

A process of its own, so that its peak memory is this step's: ``python
full_size_step.py WORK_DIR`` runs configs/mbcd/epic_d1.py through the Runner
with random weights on two small clips and prints one line of JSON.
"""
import json
import math
import resource
import sys
from pathlib import Path

import torch
from mmaction.registry import DATASETS, HOOKS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset

ROOT = Path(__file__).resolve().parents[1]
SHAPES = dict(video=(1, 3, 32, 64, 64), flow=(1, 2, 8, 64, 64),
              audio=(1, 1, 257, 100))
SEEN = {}


@DATASETS.register_module()
class SmallClips(Dataset):
    """Two clips of noise, as the pipelines give them."""

    metainfo = dict(classes=[str(i) for i in range(8)])

    def __len__(self):
        return 2

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        inputs = {
            m: torch.randn(shape, generator=generator) if m == 'audio' else
            torch.randint(0, 256, shape, dtype=torch.uint8,
                          generator=generator)
            for m, shape in SHAPES.items()
        }
        sample = ActionDataSample()
        sample.set_gt_label(3 * index)
        return dict(inputs=inputs, data_samples=sample)


def copies(model):
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


@HOOKS.register_module()
class Watch(Hook):
    """Compares the model before and after the step."""

    priority = 'LOWEST'

    def teacher(self, runner):
        hook, = (h for h in runner.hooks
                 if type(h).__name__ == 'WATeacherDistillHook')
        return hook.ema_model.module

    def before_train(self, runner):
        model = runner.model
        self.before = copies(model)
        SEEN['trained'] = [n for n, p in model.named_parameters()
                           if p.requires_grad]
        SEEN['frozen'] = [n for n, p in model.named_parameters()
                          if not p.requires_grad]
        SEEN['buffers'] = [n for n, _ in model.named_buffers()
                           if n in self.before]

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        after = runner.model.state_dict()
        moved = [n for n, t in after.items()
                 if not torch.equal(t, self.before[n])]
        SEEN['moved'] = moved
        # where all is zero and no gradient comes, Adam has nothing to do
        SEEN['idle'] = [n for n in SEEN['trained']
                        if n not in moved and self.before[n].any()]
        SEEN['finite'] = all(bool(t.isfinite().all())
                             for t in after.values())
        SEEN['outputs'] = {k: float(v.detach())
                           for k, v in outputs.items()}
        own = self.teacher(runner).state_dict()
        SEEN['teacher_error'] = max(
            (own[n] - (.999 * self.before[n] + .001 * after[n])).abs().max()
            .item() for n in SEEN['trained'])
        SEEN['teacher_moved'] = sum(
            not torch.equal(own[n], self.before[n]) for n in SEEN['trained'])
        SEEN['teacher_shares'] = all(
            own[n].data_ptr() == after[n].data_ptr() for n in SEEN['frozen'])


def main(work_dir):
    torch.set_num_threads(1)
    config = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    config.merge_from_dict({
        f'model.branches.{m}.checkpoint': None for m in SHAPES
    })
    config.work_dir = work_dir
    config.train_cfg.max_epochs = 1
    config.train_dataloader = dict(
        batch_size=2, num_workers=0, dataset=dict(type='SmallClips'),
        sampler=dict(type='DefaultSampler', shuffle=False))
    for split in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            config[f'{split}_{part}'] = None
    config.default_hooks.checkpoint = None  # 0.8 GB that nobody reads
    config.custom_hooks.append(dict(type='Watch'))
    config.randomness = dict(seed=0)
    runner = Runner.from_cfg(config)
    runner.train()
    SEEN['steps'] = runner.iter
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # bytes on macOS, kilobytes elsewhere
    SEEN['peak_gib'] = peak / 2**(30 if sys.platform == 'darwin' else 20)
    assert all(map(math.isfinite, SEEN['outputs'].values()))
    print('\n' + json.dumps(SEEN))


if __name__ == '__main__':
    main(sys.argv[1])
