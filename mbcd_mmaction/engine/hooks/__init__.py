"""Hooks: what happens when."""
from .gradient_consistency import GradientConsistencyHook
from .wa_teacher_distill import WATeacherDistillHook

__all__ = ['GradientConsistencyHook', 'WATeacherDistillHook']
