"""The one place that knows what is broken in the installed host packages.

``import mbcd_mmaction`` calls :func:`apply` before anything imports
``mmaction.models``. Every cure stands in its own file, names symptom and
cause, and is applied only where its defect is present, so that a repaired
host is left alone. :func:`report` tells what was done.
"""
from collections.abc import Callable

from . import (
    checkpoints,
    heads,
    installed_packages,
    missing_modules,
    mmcv_version,
    numpy_names,
)

__all__ = ['apply', 'report']

# The order matters: the mmcv check must speak before mmaction's own assertion
# does, which the first cure to import mmaction would meet.
_CURES: dict[str, Callable[[], bool]] = {
    'importlib_metadata': missing_modules.provide_importlib_metadata,
    'mmcv_version': mmcv_version.check_mmcv,
    'drn': missing_modules.provide_drn,
    'pkg_resources': installed_packages.replace_pkg_resources,
    'checkpoint_globals': checkpoints.allow_checkpoint_globals,
    'numpy_inf': numpy_names.provide_numpy_inf,
    'heads': heads.cure_heads,
}
_applied: dict[str, bool] = {}


def apply() -> None:
    """Apply each cure whose defect is present; a second call does nothing.

    Raises:
        ImportError: mmcv is absent, or newer than MMAction2 accepts.
    """
    for name, cure in _CURES.items():
        if name not in _applied:
            _applied[name] = cure()


def report() -> dict[str, str]:
    """Tell what was done to the host.

    Returns:
        dict[str, str]: the name of each cure to ``'applied'`` or ``'not
        needed'``; empty before the first :func:`apply`. A cure that waits for
        a module to be imported counts as applied.
    """
    return {
        name: 'applied' if done else 'not needed'
        for name, done in _applied.items()
    }
