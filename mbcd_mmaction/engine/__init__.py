"""What happens over time: hooks and optimizer wrappers."""
from . import hooks

__all__ = ['hooks']
