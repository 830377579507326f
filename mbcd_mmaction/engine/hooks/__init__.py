"""Hooks: what happens when."""
from .epoch_seed import EpochSeedHook
from .gradient_consistency import GradientConsistencyHook
from .moving_average import SimpleMovingAverageHook
from .read_errors import ReadErrorHook
from .sync_buffers import SyncBuffersHook
from .wa_teacher_distill import WATeacherDistillHook

__all__ = [
    'EpochSeedHook', 'GradientConsistencyHook', 'ReadErrorHook',
    'SimpleMovingAverageHook', 'SyncBuffersHook', 'WATeacherDistillHook'
]
