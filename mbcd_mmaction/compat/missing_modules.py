"""Modules that the host imports and that are not there."""
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import types

DRN_PACKAGE = 'mmaction.models.localizers.drn'


def is_importable(name: str) -> bool:
    """Whether the top-level module ``name`` can be found, without running it.

    Args:
        name (str): A top-level module's name.
    """
    if name in sys.modules:
        return sys.modules[name] is not None
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def provide_importlib_metadata() -> bool:
    """Stand in for the ``importlib_metadata`` back-port.

    Symptom: ``No module named importlib_metadata`` on ``import
    mmaction.models``. Cause: ``mmaction/utils/dependency.py`` imports the
    back-port, which MMAction2 does not declare. The standard library's
    module has all that is asked of it.

    Returns:
        bool: whether the stand-in was needed.
    """
    if is_importable('importlib_metadata'):
        return False
    sys.modules['importlib_metadata'] = importlib.metadata
    return True


def drn_is_broken() -> bool:
    """Whether importing ``mmaction.models.localizers.drn`` would fail.

    ``find_spec`` on the full path imports the failing parent, so the file is
    looked for on disk.
    """
    spec = importlib.util.find_spec('mmaction')
    if spec is None or not spec.submodule_search_locations:
        return False
    path = os.path.join(spec.submodule_search_locations[0], 'models',
                        'localizers', 'drn', 'drn.py')
    return not os.path.isfile(path) or not is_importable('torchvision')


class DRN:
    """Stand-in for MMAction2's dense regression network: it only explains.

    Raises:
        ImportError: always, when it is built.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise ImportError(
            'DRN is not usable in this installation of MMAction2: the wheel '
            f'leaves out {DRN_PACKAGE}, and its source needs torchvision. '
            'Install MMAction2 from a source checkout, with torchvision, to '
            'train it.')


def provide_drn() -> bool:
    """Stand in for ``mmaction.models.localizers.drn``.

    Symptom: ``ModuleNotFoundError: mmaction.models.localizers.drn`` (or
    ``torchvision``, on a source install) on the first ``import
    mmaction.models``. Cause: the folder has no ``__init__.py``, so the wheel
    was built without it, and ``localizers/__init__.py`` imports it; its
    source imports torchvision, which is not declared.

    Returns:
        bool: whether the stand-in was needed.
    """
    if 'mmaction.models.localizers' in sys.modules or not drn_is_broken():
        return False
    for name in (DRN_PACKAGE, f'{DRN_PACKAGE}.drn'):
        module = types.ModuleType(name, 'Stand-in for a missing module.')
        module.__spec__ = importlib.machinery.ModuleSpec(
            name, loader=None, is_package=name == DRN_PACKAGE)
        module.__dict__['DRN'] = DRN
        sys.modules[name] = module
    sys.modules[DRN_PACKAGE].__path__ = []
    from mmaction.registry import MODELS
    MODELS.register_module(name='DRN', module=DRN, force=True)
    return True
