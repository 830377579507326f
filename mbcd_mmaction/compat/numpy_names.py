"""Names that NumPy 2 removed and that MMAction2 still uses."""
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable

import numpy as np

# PoseCompact and MMCompact; frame_extract(short_side=...).
USERS_OF_INF = ('mmaction.datasets.transforms.pose_transforms',
                'mmaction.utils.misc')


class NumPyWithInf(types.ModuleType):
    """NumPy as one module of the host sees it: with ``Inf``."""

    Inf = np.inf

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


class PatchAfterImport(importlib.abc.MetaPathFinder):
    """Calls ``patch(module)`` once a named module has been imported.

    The modules are heavy and may never be wanted, so they are not imported
    just to be patched.

    Args:
        names (tuple[str, ...]): Full names of the modules to wait for.
        patch (Callable): Called with each of them after it has run.
    """

    def __init__(self, names: tuple[str, ...],
                 patch: Callable[[types.ModuleType], None]) -> None:
        self.names = names
        self.patch = patch

    def find_spec(self, fullname, path, target=None):
        """Find a waited-for module and have its loader patch it."""
        if fullname not in self.names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_patch(module: types.ModuleType) -> None:
            run(module)
            self.patch(module)

        spec.loader.exec_module = run_and_patch
        return spec


def _give_inf(module: types.ModuleType) -> None:
    module.__dict__['np'] = NumPyWithInf('numpy')


def provide_numpy_inf() -> bool:
    """Give ``np.Inf`` back to the two modules of the host that use it.

    Symptom: ``AttributeError: np.Inf was removed in the NumPy 2.0 release``
    from PoseCompact and MMCompact (every RGBPose config) and from
    ``frame_extract(short_side=...)``. Cause: MMAction2 1.2.0 predates NumPy
    2. Only these modules' own ``np`` is rebound; NumPy stays as it is.

    Returns:
        bool: whether the name is missing from the installed NumPy.
    """
    if hasattr(np, 'Inf'):
        return False
    for name in USERS_OF_INF:
        if name in sys.modules:
            _give_inf(sys.modules[name])
    sys.meta_path.insert(0, PatchAfterImport(USERS_OF_INF, _give_inf))
    return True
