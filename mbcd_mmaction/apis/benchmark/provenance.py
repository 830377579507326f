"""Of which code and which libraries a number is."""
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

from ...version import __version__

__all__ = ['commit_of', 'versions', 'without_paths']

# What a run is computed by; results and scratch files beside are not.
CODE = ('mbcd_mmaction', 'configs', 'tools')
# An absolute path of two parts or more, not within a URL or another path.
_PATH = re.compile(
    r'(?<![\w/.~-])(?:~|file://|[A-Za-z]:)?[/\\](?:[\w.+@-]+[/\\])+')


def versions() -> dict[str, str | None]:
    """The versions of the package, Python, and what computes."""
    found = {'mbcd_mmaction': __version__,
             'python': platform.python_version()}
    for name in ('torch', 'mmengine', 'mmaction2', 'numpy'):
        found[name] = _version(name)
    found['mmcv'] = _version('mmcv') or _version('mmcv-lite')
    return found


def commit_of(root: Path) -> str | None:
    """The commit of a checkout, with '-dirty' where its code is changed.

    None where ``root`` is not the top of a git checkout.
    """
    top = _git(root, 'rev-parse', '--show-toplevel')
    commit = _git(root, 'rev-parse', 'HEAD')
    if not commit or Path(top).resolve() != Path(root).resolve():
        return None
    changed = _git(root, 'status', '--porcelain', '--', *CODE)
    return commit + '-dirty' * bool(changed)


def without_paths(text: str) -> str:
    """The same text with absolute paths cut to their last part."""
    return _PATH.sub('', text)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(root: Path, *command: str) -> str:
    """What git prints; '' where it fails or is not there."""
    try:
        done = subprocess.run(['git', *command], cwd=root, text=True,
                              capture_output=True)
    except OSError:
        return ''
    return done.stdout.strip() if done.returncode == 0 else ''
