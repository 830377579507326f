"""What other methods train by: one file each."""
from .base import (
    AveragedNetwork,
    Objective,
    TrainingBatch,
    build_objective,
    objective_losses,
    refuse_objective,
)
from .cmrf import CMRF
from .moosa import MOOSA
from .rna_net import RNANet
from .simmmdg import SimMMDG

__all__ = [
    'AveragedNetwork', 'CMRF', 'MOOSA', 'Objective', 'RNANet', 'SimMMDG',
    'TrainingBatch', 'build_objective', 'objective_losses',
    'refuse_objective'
]
