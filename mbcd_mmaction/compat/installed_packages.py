"""Where a package is installed, without pkg_resources."""
import importlib.metadata
import importlib.util
import os
import sys
from types import FunctionType

from .missing_modules import is_importable

# Modules that bind the two functions by name when they are imported.
_HOLDERS = ('mmengine.utils.package_utils', 'mmengine.utils',
            'mmengine.config.config', 'mmengine.hub.hub')


def is_installed(package: str) -> bool:
    """Whether a distribution or an importable module has this name.

    Args:
        package (str): Name of a distribution (``mmaction2``) or of a
            top-level module (``mmaction``).
    """
    try:
        importlib.metadata.distribution(package)
        return True
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def package2module(package: str) -> str:
    """The first top-level module of an installed distribution.

    Args:
        package (str): Name of the distribution, as ``mmaction2``.

    Raises:
        importlib.metadata.PackageNotFoundError: no such distribution.
        ValueError: the distribution does not tell its modules.
    """
    text = importlib.metadata.distribution(package).read_text('top_level.txt')
    names = (text or '').split()
    if not names:
        raise ValueError(f'can not infer the module name of {package}: its '
                         'metadata has no top_level.txt')
    return names[0]


def get_installed_path(package: str) -> str:
    """The folder of an installed package's module.

    Args:
        package (str): Name of a distribution or of a top-level module.

    Raises:
        importlib.metadata.PackageNotFoundError: neither is installed.
        RuntimeError: the name is a namespace package's, which has no folder
            of its own.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        spec = importlib.util.find_spec(package2module(package))
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f'{package} is a namespace package, which is invalid for '
            '`get_installed_path`')
    return os.path.dirname(spec.origin)


def _asks_pkg_resources(function: FunctionType) -> bool:
    return 'pkg_resources' in function.__code__.co_names


def replace_pkg_resources() -> bool:
    """Give MMEngine look-ups of packages that need no pkg_resources.

    Symptom: ``ModuleNotFoundError: pkg_resources`` from a config with
    ``_base_ = 'mmaction::...'`` and from ``mmengine.hub``. Cause: setuptools
    82 dropped the module, and ``mmengine/utils/package_utils.py`` imports it
    when called. It helps from the import of this package on, so a config
    that has such a base must be read after it.

    Returns:
        bool: whether the replacements were needed.
    """
    from mmengine.utils import package_utils
    if is_importable('pkg_resources') or not _asks_pkg_resources(
            package_utils.is_installed):
        return False
    for function in (is_installed, get_installed_path, package2module):
        for holder in _HOLDERS:
            module = sys.modules.get(holder)
            if module is not None and hasattr(module, function.__name__):
                setattr(module, function.__name__, function)
    return True
