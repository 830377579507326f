"""Cures for what is broken in the installed host packages."""
import importlib.metadata
import sys
import types


def apply() -> None:
    """Apply each cure where its defect is present."""
    sys.modules.setdefault('importlib_metadata', importlib.metadata)
    for name in ('mmaction.models.localizers.drn',
                 'mmaction.models.localizers.drn.drn'):
        module = types.ModuleType(name)
        module.DRN = type('DRN', (), {})
        sys.modules.setdefault(name, module)
