"""The mini set: a small generated set for multi-modal generalisation."""
from .write import make_mini

__all__ = ['make_mini']
