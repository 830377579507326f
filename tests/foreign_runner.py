"""MMEngine's Runner around models that are not ours, without files."""
import copy

import torch
from foreign_models import CLASSES, TwoLosses, batch_of, build
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

DISTIL = dict(type='WATeacherDistillHook', ema_decay=0.5, distill_weight=3.0)
LOOK = dict(type='GradientConsistencyHook', inner_lr=0.1,
            inner_losses=['loss_second'], outer_losses=['loss_cls'])
POSE_LOOK = dict(LOOK, inner_losses=['rgb_loss_cls'],
                 outer_losses=['pose_loss_cls'])


def model_of(name, dtype=torch.float32, **head):
    """A model of the same weights each time."""
    torch.manual_seed(11)
    if name == 'two losses':
        return TwoLosses(dropout=0.3, **head).to(dtype)
    return build(name, **head).to(dtype)


def clips_of(name, count, dtype=torch.float32):
    """Random clips, the same each time, as a dataset returns them."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(12)
    if name == 'two losses':
        clips = [dict(inputs=torch.randn(4, dtype=dtype),
                      data_samples=torch.tensor(i % CLASSES))
                 for i in range(count)]
    else:
        batch = batch_of(name, count)
        inputs = batch['inputs']
        clips = [
            dict(inputs={k: v[i].to(dtype) for k, v in inputs.items()}
                 if isinstance(inputs, dict) else inputs[i].to(dtype),
                 data_samples=sample)
            for i, sample in enumerate(batch['data_samples'])
        ]
    torch.set_rng_state(generator_state)
    return clips


def make_runner(work_dir, name, hooks=(), epochs=1, model=None, steps=3,
                batch_size=4, optim_wrapper=None, dtype=torch.float32,
                **cfg):
    """A Runner; its clips come in the same order each time."""
    collate = 'default' if name == 'two losses' else 'pseudo'
    loader = dict(
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type=f'{collate}_collate'),
        dataset=clips_of(name, steps * batch_size, dtype))
    with DefaultScope.overwrite_default_scope('mmaction'):
        return Runner(
            model=model or model_of(name, dtype),
            work_dir=str(work_dir),
            train_dataloader=loader,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
            optim_wrapper=copy.deepcopy(optim_wrapper) or dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05)),
            default_hooks=dict(checkpoint=None, logger=dict(
                type='LoggerHook', interval=1)),
            custom_hooks=copy.deepcopy(list(hooks)),
            randomness=dict(seed=0),
            default_scope='mmaction',
            log_level='ERROR',
            experiment_name=f'foreign_{len(_RUNNERS)}_{_RUNNERS.append(1)}',
            cfg=Config(cfg))


_RUNNERS: list = []  # MMEngine wants a new name for each Runner


class Log(Hook):
    """Every step's logged losses, and what a question is answered with."""

    priority = 'LOWEST'

    def __init__(self, ask=lambda runner: None):
        self.ask, self.steps, self.answers = ask, [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None,
                         outputs=None):
        self.steps.append({n: float(v) for n, v in outputs.items()})
        self.answers.append(self.ask(runner))


def train(work_dir, name, hooks=(), ask=lambda runner: None, **kwargs):
    """A trained Runner and its log."""
    runner = make_runner(work_dir, name, hooks, **kwargs)
    log = Log(ask)
    runner.register_hook(log)
    runner.train()
    return runner, log


def hook_of(runner, kind):
    return next(h for h in runner.hooks if type(h).__name__ == kind)


def hooks_on(model):
    """How many forward hooks a model and its modules carry."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks)
               for m in model.modules())
