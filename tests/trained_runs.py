"""Checkpoints with random weights, for what looks at trained models."""
import torch
from mmaction.registry import MODELS

from mbcd_mmaction.apis.figures.trained import read_config


def mini_options(root):
    """The shipped mini config on a small set, narrow, in one process."""
    given = {'model.branches.flow.backbone.base_channels': 4,
             'model.branches.audio.backbone.base_channels': 4}
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.dataset.data_root'] = str(root)
    return given


def mini_config(root, name='configs/mbcd/mini_d1.py'):
    """That config, as a tool reads it."""
    return read_config(name, mini_options(root))


def save_checkpoint(cfg, path, seed=0):
    """As WATeacherDistillHook leaves one; returns teacher and student."""
    torch.manual_seed(seed)
    teacher, student = (MODELS.build(cfg.model) for _ in range(2))
    average = {f'module.{k}': v for k, v in student.state_dict().items()}
    torch.save(dict(meta={}, state_dict=teacher.state_dict(),
                    ema_state_dict={'steps': torch.tensor(3), **average}),
               path)
    return teacher, student


def words(options):
    """Options as words of ``--cfg-options``."""
    return [f'{name}={value}' for name, value in options.items()]
