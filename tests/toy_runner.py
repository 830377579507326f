"""MMEngine's Runner around the toy recognizer, without files."""
import oracle
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset
from toy import make_recognizer, make_samples

DIMS = {'video': 6, 'flow': 3, 'audio': 5}


class ToySet(Dataset):
    """Random clips whose label one modality knows; float64."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, num_clips=24, seed=0):
        self.inputs, self.labels = oracle.toy_batch(DIMS, num_clips,
                                                    seed=seed)
        for i, label in enumerate(self.labels):
            self.inputs['video'][i, :3] += 2 * torch.eye(3)[label]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        sample, = make_samples(self.labels[index:index + 1])
        sample.set_metainfo(dict(domain=f'D{index % 2 + 1}'))
        return dict(
            inputs={m: x[index][None] for m, x in self.inputs.items()},
            data_samples=sample)


def make_runner(work_dir, hooks=(), epochs=2, model=None, seed=0, lr=0.05,
                optim_wrapper=None, resume=False, load_from=None,
                param_scheduler=None, train_cfg=None, **kwargs):
    """A Runner with our defaults; ``kwargs`` go to the recognizer."""
    kwargs.setdefault('data_preprocessor', dict(
        type='mmaction.MultiModalDataPreprocessor',
        preprocessors={
            m: dict(type='ActionDataPreprocessor', to_float32=False)
            for m in DIMS
        }))
    model = model or make_recognizer(DIMS, **kwargs)
    loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=ToySet())
    val_loader = dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=ToySet(seed=1))
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs,
                       **(train_cfg or {})),
        optim_wrapper=optim_wrapper or dict(
            type='OptimWrapper', optimizer=dict(type='Adam', lr=lr)),
        param_scheduler=param_scheduler,
        val_dataloader=val_loader,
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='MultiModalAccMetric'),
        test_dataloader=val_loader,
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(type='MultiModalAccMetric'),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1,
                            save_best='acc/top1'),
            logger=dict(type='LoggerHook', interval=1),
            param_scheduler=dict(type='ParamSchedulerHook'),
            epoch_seed=dict(type='EpochSeedHook')),
        custom_hooks=list(hooks),
        randomness=dict(seed=seed),
        default_scope='mmaction',
        log_level='WARNING',
        resume=resume,
        load_from=load_from,
        experiment_name=f'toy_{len(_RUNNERS)}_{_RUNNERS.append(1)}',
        cfg=Config(dict()))


_RUNNERS: list = []  # MMEngine wants a new name for each Runner


MBCD = (dict(type='GradientConsistencyHook', inner_lr=0.1),
        dict(type='WATeacherDistillHook', ema_decay=0.9,
             distill_weight=1.0))
MBCD_MODEL = dict(modality_dropout=dict(type='AdaptiveModalityDropout'))


def weights(model):
    """A copy of all that a checkpoint would hold."""
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


def assert_equal(a, b):
    """Bit for bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
