"""Training and testing of the cases, and reading what they left."""
import json
from pathlib import Path

import stock
import stock_data
import torch
from mmengine.config import Config

TEACHER = dict(type='WATeacherDistillHook', ema_decay=.5)
# A config for testing only lacks these.
TRAINING = ('train_dataloader', 'val_dataloader', 'train_cfg', 'val_cfg',
            'val_evaluator', 'optim_wrapper', 'param_scheduler')


class Bench:
    """Stock configs, small data and the stock tools."""

    def __init__(self, folder, tools):
        self.folder = Path(folder)
        self.tools = tools
        self.data = stock_data.write_all(self.folder / 'data')

    def settings(self, case, training):
        """The stock config, and what it lacks to train."""
        cfg = stock.load(case.path)
        lacks = [name for name in TRAINING if name not in cfg]
        added = {name: training[name] for name in lacks}
        cfg.merge_from_dict(added)
        return cfg, added

    def child(self, name, case, hooks, added=()):
        """A file that adds the package and some hooks to a stock config."""
        path = self.folder / f'{name}.py'
        text = [f"_base_ = {str(stock.MIM / 'configs' / case.path)!r}",
                "custom_imports = dict(imports=['mbcd_mmaction'],",
                '                      allow_failed_imports=False)',
                f'custom_hooks = {hooks!r}',
                Config(dict(added)).pretty_text if added else '']
        path.write_text('\n'.join(text))
        return path

    def options(self, cfg, case, **more):
        """The arguments that make this case small."""
        options = stock.shrink(cfg, self.data[case.data], case.clip_len)
        options.update(case.options)
        options.update({name.replace('__', '.'): value
                        for name, value in more.items()})
        return ['--cfg-options',
                *(f'{name}={value}' for name, value in options.items())]

    def train(self, config, work, options, *arguments, **how):
        """What the stock train.py prints."""
        return self.tools(stock.TRAIN, config, '--work-dir', work, '--seed',
                          '0', *arguments, *options, **how)

    def test(self, config, checkpoint, work, options, *arguments, **how):
        """The metrics of the stock test.py."""
        self.tools(stock.TEST, config, checkpoint, '--work-dir', work,
                   *arguments, *options, **how)
        (written, ) = [path for path in work.glob('*/*.json')
                       if path.parent.name != 'vis_data']
        return metrics(json.loads(written.read_text()))


def logged(work):
    """All lines of the scalars that the runs in a folder logged, in order."""
    return [json.loads(line) for path in sorted(work.glob('*/vis_data/*.json'))
            if path.stem == 'scalars'
            for line in path.read_text().splitlines()]


def steps(work):
    """The lines of training steps."""
    return [line for line in logged(work) if 'iter' in line]


def validations(work):
    """The metrics of each validation."""
    return [metrics(line) for line in logged(work) if 'iter' not in line]


def metrics(line):
    """What the evaluator found; times left out."""
    return {name: value for name, value in line.items()
            if name.startswith('acc/')}


def load(path):
    """A checkpoint, read as MMEngine reads it."""
    return torch.load(path, map_location='cpu')


def student_of(checkpoint):
    """The trained weights; ``state_dict`` holds their average."""
    own = {name.removeprefix('module.'): value
           for name, value in checkpoint['ema_state_dict'].items()
           if name.startswith('module.')}
    return {**checkpoint['state_dict'], **own}
