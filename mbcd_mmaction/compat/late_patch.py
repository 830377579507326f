"""Cure a module of the host once it is imported, and not before."""
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable

Patch = Callable[[types.ModuleType], None]


def patch_when_imported(names: tuple[str, ...], patch: Patch) -> None:
    """Call ``patch(module)`` for each of the modules, now or later.

    The modules are heavy and may never be wanted, so they are not imported
    just to be patched.

    Args:
        names (tuple[str, ...]): Full names of modules.
        patch (Callable): Called with each of them after it has run.
    """
    for name in names:
        if name in sys.modules:
            patch(sys.modules[name])
    sys.meta_path.insert(0, PatchAfterImport(names, patch))


class PatchAfterImport(importlib.abc.MetaPathFinder):
    """Calls ``patch(module)`` once a named module has been imported.

    Args:
        names (tuple[str, ...]): Full names of the modules to wait for.
        patch (Callable): Called with each of them after it has run.
    """

    def __init__(self, names: tuple[str, ...], patch: Patch) -> None:
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
