"""MBCD for MMAction2: importing this package registers all its components.

A config needs only ``custom_imports = dict(imports=['mbcd_mmaction'],
allow_failed_imports=False)``.
"""
from . import compat

compat.apply()

from . import datasets, engine, evaluation, functional, models  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = [
    '__version__', 'compat', 'datasets', 'engine', 'evaluation', 'functional',
    'models'
]
