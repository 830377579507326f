"""Branches, heads, the recognizer and its averaged teacher."""
from .audio_resnet import AudioResNet
from .averaged_model import WeightAverageTeacher
from .branch import Branch
from .feature_perturbation import DSU
from .heads import MLPHead
from .modality_dropout import (
    AdaptiveModalityDropout,
    BaseModalityDropout,
    FixedModalityDropout,
)
from .moving_average import SimpleMovingAverage
from .objectives import CMRF, MOOSA, Objective, RNANet, SimMMDG
from .recognizer import MultiModalRecognizer
from .slots import Distiller, LookAhead
from .stages import build_stages

__all__ = [
    'AdaptiveModalityDropout', 'AudioResNet', 'BaseModalityDropout', 'Branch',
    'CMRF', 'DSU', 'Distiller', 'FixedModalityDropout', 'LookAhead', 'MLPHead',
    'MOOSA', 'MultiModalRecognizer', 'Objective', 'RNANet', 'SimMMDG',
    'SimpleMovingAverage', 'WeightAverageTeacher', 'build_stages'
]
