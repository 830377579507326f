"""Section 4: whether the loader keeps the GPU busy.

A training of MBCD through MMEngine's Runner, as the configs have it, on
generated clips like those of EPIC-Kitchens (benchmarks/loader_set.py),
repeated to fill its epoch; after the first round they come from the page
cache. What waits is MMEngine's ``data_time`` over its ``time``.
"""
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from common import (
    CONFIGS,
    ROOT,
    NotAvailable,
    Setting,
    make_batch,
    model_config,
    settle_statistics,
)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile
from tracing import busy_seconds

WORKERS = (4, 12)
CLIPS, STEPS, WARM_STEPS = 4, 40, 8
PROFILED = 6  # steps at the end, where utilization() is not to be had
LIKELY_SECONDS = 30  # of one training


def run(setting: Setting) -> dict:
    """Train once for each number of workers."""
    root = make_set(setting)
    data: dict = dict(batch=setting.batch, clips=1 if setting.tiny else CLIPS,
                      cases={})
    for workers in (1, ) if setting.tiny else WORKERS:
        name = f'{workers} workers'
        if setting.late(LIKELY_SECONDS):
            data['cases'][name] = dict(not_run='no time left')
            continue
        data['cases'][name] = train(setting, root, workers)
        setting.save(data)
    return data


def make_set(setting: Setting) -> Path:
    """Write the EPIC-like clips, unless they are there."""
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    try:
        import loader_set
    except ImportError as error:
        raise NotAvailable(f'benchmarks/loader_set.py: {error}') from error
    finally:
        sys.path.remove(str(ROOT / 'benchmarks'))
    root = setting.data_root or setting.folder / 'loader_set'
    loader_set.make_sets(root, 1 if setting.tiny else CLIPS, names=['epic'])
    return root / 'epic'


def train(setting: Setting, root: Path, workers: int) -> dict:
    """One training; what MMEngine logged, and how busy the GPU was."""
    watch = Watch(setting)
    scope = DefaultScope._instance_dict.copy()
    try:
        runner = Runner.from_cfg(runner_config(setting, root, workers))
        settle_statistics(runner.model, make_batch(setting, 2))
        runner.register_hook(watch, priority='VERY_LOW')
        runner.train()
    finally:
        watch.stop()
        DefaultScope._instance_dict.clear()
        DefaultScope._instance_dict.update(scope)
    times = np.array(watch.rows)
    waited, whole = times.sum(axis=0)
    step = float(np.median(times[:, 1]))
    return dict(
        steps=len(times), data_time_share=float(waited / whole),
        seconds=step, samples_per_second=setting.batch / step,
        samples_per_second_mean=float(setting.batch * len(times) / whole),
        busy_share=watch.busy_share(), busy_measured_by=watch.measured_by,
        busy_samples=len(watch.samples))


def runner_config(setting: Setting, root: Path, workers: int) -> Config:
    """The shipped experiment on the generated clips, without validation."""
    cfg = Config.fromfile(CONFIGS / 'mbcd/epic_d1.py')
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator',
                 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg.pop(name)
    dropout = cfg.model.modality_dropout
    cfg.model = model_config(setting.tiny)
    cfg.model.modality_dropout = dropout
    loader = cfg.train_dataloader
    loader.batch_size, loader.num_workers = setting.batch, workers
    dataset = dict(loader.dataset, data_root=str(root), domains=['D1'])
    steps = 3 if setting.tiny else STEPS
    clips = 1 if setting.tiny else CLIPS
    loader.dataset = dict(type='mmengine.RepeatDataset', dataset=dataset,
                          times=-(-steps * setting.batch // clips))
    loader.persistent_workers = False
    if setting.tiny:
        shrink(dataset['pipeline'][0]['pipelines'])
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.logger.interval = 10**6
    cfg.visualizer = None
    if setting.cuda:
        cfg.optim_wrapper.update(type=AmpOptimWrapper, dtype='bfloat16')
    cfg.work_dir = str(setting.folder / f'loader_{workers}')
    cfg.log_level = 'ERROR'
    return cfg


def shrink(pipelines: dict) -> None:
    """The same steps for few and small frames, as the tiny model's."""
    for steps in pipelines.values():
        for step in steps:
            if step['type'] == 'SampleWindow':
                step['clip_len'] = 4
            elif step['type'] == 'RandomView':
                step['size'] = 32
            elif step['type'] == 'LoadAudioClip':
                step['duration'] = 1.0


class Watch(Hook):
    """Notes each step's times, and watches the GPU after the first steps."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.warm = 1 if setting.tiny else WARM_STEPS
        self.rows: list[tuple[float, float]] = []
        self.samples: list[float] = []
        self.measured_by: str | None = None
        self.done = threading.Event()
        self.thread: threading.Thread | None = None
        self.profiler: profile | None = None
        self.profiled_share: float | None = None

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None) -> None:
        """Note the step; begin to watch once the workers run."""
        if batch_idx >= self.warm:
            hub = runner.message_hub
            self.rows.append(tuple(
                hub.get_scalar(f'train/{name}').current()
                for name in ('data_time', 'time')))
        if not self.setting.cuda:
            return
        if batch_idx == self.warm - 1:
            self.start()
        elif (self.measured_by == 'torch.profiler'
              and batch_idx == len(runner.train_dataloader) - PROFILED - 1):
            self.start_profiler()
        elif batch_idx == len(runner.train_dataloader) - 1:
            self.stop_profiler()

    def start(self) -> None:
        """Sample torch.cuda.utilization(), else leave it to the profiler."""
        try:
            torch.cuda.utilization()
        except Exception:  # pynvml absent, or of another make
            self.measured_by = 'torch.profiler'
            return
        self.measured_by = 'torch.cuda.utilization'
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self) -> None:
        """Until told to stop, the share of a short time with a kernel."""
        while not self.done.wait(0.1):
            self.samples.append(torch.cuda.utilization() / 100)

    def start_profiler(self) -> None:
        """Watch the kernels of the last steps."""
        torch.cuda.synchronize()
        self.profiler = profile(activities=[ProfilerActivity.CUDA])
        self.profiler.__enter__()
        self.begun = time.perf_counter()

    def stop_profiler(self) -> None:
        """The share of the last steps in which a kernel ran."""
        if self.profiler is None:
            return
        torch.cuda.synchronize()
        length = time.perf_counter() - self.begun
        self.profiler.__exit__(None, None, None)
        self.profiled_share = busy_seconds(self.profiler.events()) / length
        self.profiler = None

    def stop(self) -> None:
        """End the thread."""
        self.done.set()
        if self.thread is not None:
            self.thread.join()

    def busy_share(self) -> float | None:
        """Share of time in which the GPU ran something, if known."""
        if self.samples:
            return float(np.mean(self.samples))
        return self.profiled_share
