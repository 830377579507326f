"""One training step of a full-size config, in a process of its own.

    python tests/full_size_step.py CONFIG WORK_DIR

Prints a JSON object: losses, which parameters moved, peak memory in MiB.
"""
import json
import resource
import sys

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner

import mbcd_mmaction  # noqa: F401  cures the host before configs are read
from mbcd_mmaction.datasets.transforms import PackMultiModalInputs

# Full-size networks, small input: 64 instead of 224 pixels, 1.2 s of sound.
SHAPES = dict(video=(1, 3, 32, 64, 64), flow=(1, 2, 8, 64, 64),
              audio=(1, 1, 257, 120))


@DATASETS.register_module()
class RandomSet(torch.utils.data.Dataset):
    """Two clips of random numbers."""

    def __init__(self, modalities):
        self.metainfo = dict(classes=tuple('abcdefgh'))
        self.modalities = modalities

    def __len__(self):
        return 2

    def __getitem__(self, index):
        record = dict(label=index, modalities=self.modalities, domain='D2')
        for name in self.modalities:
            shape = SHAPES[name]
            record[name] = (
                np.random.randint(0, 256, shape).astype(np.uint8)
                if len(shape) == 5 else
                np.random.randn(*shape).astype(np.float32))
        return PackMultiModalInputs(tuple(SHAPES))(record)


def main(path, work_dir):
    torch.set_num_threads(1)
    cfg = Config.fromfile(path)
    for branch in cfg.model.branches.values():
        branch.checkpoint = None
    cfg.work_dir = work_dir
    cfg.train_cfg.max_epochs = 1
    cfg.train_dataloader = dict(
        batch_size=2, num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='RandomSet', modalities=cfg.model.modalities))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint = None
    cfg.randomness = dict(seed=0)
    runner = Runner.from_cfg(cfg)
    # Weights are set by the time of the first step: look then.
    before = {}
    model = runner.model
    model.register_forward_pre_hook(
        lambda *_: before or before.update(
            (n, p.detach().clone()) for n, p in model.named_parameters()))
    runner.train()
    moved = [n for n, p in model.named_parameters()
             if not torch.equal(p, before[n])]
    scalars = runner.message_hub.log_scalars
    print(json.dumps(dict(
        losses={name.split('/', 1)[1]: float(value.current())
                for name, value in scalars.items()
                if name.startswith('train/') and 'loss' in name},
        moved=moved,
        parameters={n: p.numel() for n, p in model.named_parameters()},
        trainable=[n for n, p in model.named_parameters()
                   if p.requires_grad],
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


if __name__ == '__main__':
    main(*sys.argv[1:])
