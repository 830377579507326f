"""Our classes under the host's names, for the host's own tests.

A pytest plugin: ``MBCD_SUBSTITUTE`` names one of :data:`SUBSTITUTES`, which
runs before the tests are collected, so that what they import is ours. Each
adapter translates constructor arguments, and nothing that a test judges.
``MBCD_SUBSTITUTE_COUNT`` is a file for the number of objects made of ours.
"""
import functools
import os
from pathlib import Path

import mbcd_mmaction  # noqa: F401  (cures the host first)

_made = 0


def _count(cls):
    """Count the objects made of a class."""
    init = cls.__init__

    @functools.wraps(init)
    def counting(self, *args, **kwargs):
        global _made
        _made += 1
        init(self, *args, **kwargs)

    cls.__init__ = counting
    return cls


def _averaged_model():
    """WeightAverageTeacher with the arguments of the host's average.

    The host's first update copies; ours follows Eq. 7 from the first step
    on, after a copy that the hook makes when training starts.
    """
    from mbcd_mmaction.models import WeightAverageTeacher

    @_count
    class Average(WeightAverageTeacher):

        def __init__(self, model, momentum=.0002, interval=1, device=None,
                     update_buffers=False):
            try:
                super().__init__(model, 1 - momentum, interval=interval,
                                 update_buffers=update_buffers)
            except ValueError as error:
                raise AssertionError(
                    f'momentum must be in range: {error}') from error
            if device is not None:
                self.to(device)

        def update_parameters(self, model):
            if int(self.steps) == 0:
                self.copy_from(model)
                self.steps += 1
            else:
                super().update_parameters(model)

    return Average


def averaged_model():
    """mmengine.model.ExponentialMovingAverage."""
    import mmengine.model
    mmengine.model.ExponentialMovingAverage = _averaged_model()


def ema_hook():
    """mmengine.hooks.EMAHook, and the average that it makes."""
    import mmengine.hooks
    import mmengine.model
    from mmengine.registry import HOOKS

    from mbcd_mmaction.engine.hooks import wa_teacher_distill as module
    average = _averaged_model()
    module.WeightAverageTeacher = lambda model, ema_decay, warmup, **kwargs: (
        average(model, 1 - ema_decay, **kwargs))
    mmengine.model.ExponentialMovingAverage = average

    @_count
    class Hook(module.WATeacherDistillHook):

        def __init__(self, strict_load=False, begin_iter=0, begin_epoch=0):
            super().__init__(ema_decay=1 - .0002, distill_weight=0,
                             start_epoch=begin_epoch)
            self.strict_load = strict_load
            self.begin_iter = begin_iter

        def after_train_iter(self, runner, *args, **kwargs):
            # They call it on a Runner that has not built its optimizer.
            if isinstance(runner.optim_wrapper, dict):
                runner.optim_wrapper = runner.build_optim_wrapper(
                    runner.optim_wrapper)
            super().after_train_iter(runner, *args, **kwargs)

        def _ema_started(self, runner):
            return runner.iter + 1 >= self.begin_iter and (
                super()._ema_started(runner))

    mmengine.hooks.EMAHook = Hook
    HOOKS.register_module(name='EMAHook', module=Hook, force=True)


def acc_metric():
    """mmaction.evaluation.AccMetric, for the scores that ours knows."""
    import mmaction.evaluation

    from mbcd_mmaction.evaluation import MultiModalAccMetric
    host, ours = mmaction.evaluation.AccMetric, _count(MultiModalAccMetric)
    known = {'top_k_accuracy', 'mean_class_accuracy'}

    def choose(metric_list, **kwargs):
        if set(metric_list) <= known:
            return ours(topk=(1, 5))
        return host(metric_list=metric_list, **kwargs)

    mmaction.evaluation.AccMetric = choose


def flip():
    """mmaction.datasets.transforms.Flip."""
    import mmaction.datasets.transforms

    from mbcd_mmaction.datasets.transforms import FlowFlip
    mmaction.datasets.transforms.Flip = _count(FlowFlip)


def sample_frames():
    """mmaction.datasets.transforms.SampleFrames, at 30 frames a second."""
    import mmaction.datasets.transforms

    from mbcd_mmaction.datasets.transforms import SampleWindow

    @_count
    class Sample(SampleWindow):

        def transform(self, results):
            results.setdefault('avg_fps', 30.)
            results.setdefault('start_index', 1)
            results.pop('shared', None)
            return super().transform(results)

    mmaction.datasets.transforms.SampleFrames = Sample


def video_dataset():
    """mmaction.datasets.VideoDataset, on the base of all our datasets."""
    import mmaction.datasets

    from mbcd_mmaction.datasets.multimodal import MultiModalDataset

    @_count
    class Videos(MultiModalDataset):

        def __init__(self, ann_file, pipeline, start_index=0, **kwargs):
            super().__init__(pipeline=[self.only_source, *pipeline],
                             ann_file=ann_file, **kwargs)
            self.start_index = start_index

        def load_data_list(self):
            lines = Path(self.ann_file).read_text().split('\n')
            return [
                dict(label=int(label), domain=None, split='test',
                     clip_id=f'{number}', video_id=name, start=None,
                     stop=None, sources=dict(video=dict(
                         modality='RGB', start_index=self.start_index,
                         filename=str(Path(self.data_prefix['video'],
                                           name)))))
                for number, (name, label) in enumerate(
                    line.split() for line in lines if line)]

        @staticmethod
        def only_source(record):
            return {'label': record['label'], **record['sources']['video']}

    mmaction.datasets.VideoDataset = Videos


SUBSTITUTES = {function.__name__: function for function in (
    averaged_model, ema_hook, acc_metric, flip, sample_frames,
    video_dataset)}


def pytest_configure(config):
    SUBSTITUTES[os.environ['MBCD_SUBSTITUTE']]()


def pytest_unconfigure(config):
    Path(os.environ['MBCD_SUBSTITUTE_COUNT']).write_text(str(_made))
