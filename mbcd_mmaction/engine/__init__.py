"""What happens over time: hooks and optimizer wrappers."""
from . import hooks
from .optim_wrappers import CPUAmpOptimWrapper

__all__ = ['CPUAmpOptimWrapper', 'hooks']
