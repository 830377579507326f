"""Names that NumPy 2 removed and that MMAction2 still uses."""
import types

import numpy as np

from .late_patch import patch_when_imported

# PoseCompact and MMCompact; frame_extract(short_side=...).
USERS_OF_INF = ('mmaction.datasets.transforms.pose_transforms',
                'mmaction.utils.misc')


class NumPyWithInf(types.ModuleType):
    """NumPy as one module of the host sees it: with ``Inf``."""

    Inf = np.inf

    def __getattr__(self, name: str) -> object:
        return getattr(np, name)


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
    patch_when_imported(USERS_OF_INF, _give_inf)
    return True
