"""MMAction2 as it is installed: its tools, its configs, and how to shrink one.

Nothing here edits a config: what is changed goes through ``--cfg-options``.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import mmaction
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
MIM = Path(mmaction.__path__[0], '.mim')
TRAIN, TEST = (str(MIM / f'tools/{name}.py') for name in ('train', 'test'))
# What the server of processes has imported when it forks.
IMPORTED = ('mbcd_mmaction', 'mmaction.models', 'mmaction.datasets',
            'mmaction.evaluation', 'mmaction.engine',
            'mmaction.visualization', 'torch._dynamo')


class Tools:
    """Runs the stock scripts, each in a process of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.jobs = 0
        self.server = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait(30)

    def __call__(self, script, *arguments, fresh=False, fails=False):
        """What the script printed; it must end well, or badly if it ``fails``.

        ``fresh`` starts a new interpreter, in which nothing is imported that
        the script does not import itself.
        """
        self.jobs += 1
        log = self.folder / f'job_{self.jobs}.log'
        argv = [str(script), *map(str, arguments)]
        if fresh or not hasattr(os, 'fork'):
            with open(log, 'w') as file:
                status = subprocess.run(
                    [sys.executable, *argv], cwd=self.folder, stdout=file,
                    stderr=file, env=environment()).returncode
        else:
            status = self._fork(argv, log)
        text = log.read_text(errors='replace')
        assert (status != 0) == fails, f'{argv[:2]}: {text[-4000:]}'
        return text

    def _fork(self, argv, log):
        """Exit status of a script run by the server, which this starts."""
        if self.server is None:
            server = Path(__file__).with_name('fork_server.py')
            self.server = subprocess.Popen(
                [sys.executable, '-W', 'ignore', str(server), *IMPORTED],
                cwd=self.folder, env=environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        job = dict(argv=argv, cwd=str(self.folder), log=str(log))
        self.server.stdin.write(json.dumps(job) + '\n')
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


def environment():
    """One thread; this checkout's package."""
    path = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'OMP_NUM_THREADS': '1',
            'PYTHONPATH': os.pathsep.join(filter(None, path))}


def load(path):
    """A stock config, as the tools read it."""
    return Config.fromfile(MIM / 'configs' / path,
                           import_custom_modules=False)


def shrink(cfg, data, clip_len=4, size=32, batch=2, classes=7):
    """Options that make any stock config small.

    Args:
        cfg (Config): The stock config.
        data (dict): 'train' and 'val' to options of their dataset.
        clip_len (int): Frames of a clip. Defaults to 4.
        size (int): What 224 pixels become. Defaults to 32.
        batch (int): Clips of a batch. Defaults to 2.
        classes (int): Number of classes. Defaults to 7.
    """
    options = {
        'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'model.cls_head.num_classes': classes, 'load_from': None}
    if 'pretrained' in cfg.model.backbone:
        options['model.backbone.pretrained'] = None
    for part in ('train', 'val', 'test'):
        loader = f'{part}_dataloader'
        options.update({
            f'{loader}.num_workers': 0,
            f'{loader}.persistent_workers': False,
            f'{loader}.batch_size': batch})
        options.update(dataset_options(
            cfg[loader].dataset, f'{loader}.dataset',
            data['train' if part == 'train' else 'val'],
            lambda t: transform_options(t, size, clip_len)))
    return options


def dataset_options(dataset, name, data, change):
    """Options of one dataset, within a RepeatDataset too."""
    if 'dataset' in dataset:
        inner = dataset_options(dataset.dataset, f'{name}.dataset', data,
                                change)
        return {f'{name}.times': 1, **inner}
    found = {f'{name}.{key}': value for key, value in data.items()}
    for place, transform in enumerate(dataset.pipeline):
        found.update({f'{name}.pipeline.{place}.{key}': value
                      for key, value in change(transform).items()})
    return found


def transform_options(transform, size, clip_len):
    """New values of one transform's arguments, by name."""

    def less(pixels):
        return pixels if pixels < 100 else pixels * size // 224

    kind = transform['type']
    if kind.endswith('SampleFrames'):
        return sampling_options(transform, clip_len)
    if kind == 'ColorJitter':  # its offsets overflow in NumPy 2, at random
        return dict(brightness=0, contrast=0, saturation=0, hue=0)
    spatial = ('scale', 'scale_range', 'crop_size', 'input_size', 'size')
    return {name: less(value) if isinstance(value, int) else
            tuple(map(less, value))
            for name, value in transform.items() if name in spatial}


def sampling_options(transform, clip_len):
    """Fewer frames, and two clips of a video where a test takes ten."""
    found = {}
    length = transform['clip_len']
    if isinstance(length, dict):
        found = {'clip_len.RGB': clip_len, 'clip_len.Pose': 4 * clip_len}
    elif length > 1:
        found = dict(clip_len=min(length, clip_len))
    if transform.get('test_mode') and length != 1:
        found['num_clips'] = min(2, transform.get('num_clips', 1))
    return found


def like_validation(cfg, clip_len=4, size=32):
    """Options that show the test what the validation saw."""
    found = {}
    val = [t for t in cfg.val_dataloader.dataset.pipeline
           if t.type != 'ColorJitter']
    test = cfg.test_dataloader.dataset.pipeline
    for place, (ours, theirs) in enumerate(zip(val, test, strict=True)):
        new = transform_options(ours, size, clip_len)
        if ours.type != theirs.type:
            new['type'] = ours.type
        if 'num_clips' in theirs:
            new['num_clips'] = ours.get('num_clips', 1)
        found.update({f'test_dataloader.dataset.pipeline.{place}.{key}': value
                      for key, value in new.items()})
    return found
