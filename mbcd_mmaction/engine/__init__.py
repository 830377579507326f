"""What happens over time: hooks, optimizers and their wrappers."""
from . import hooks
from .optim_wrappers import CPUAmpOptimWrapper
from .optimizers import FusedAdam

__all__ = ['CPUAmpOptimWrapper', 'FusedAdam', 'hooks']
