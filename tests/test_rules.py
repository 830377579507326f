"""The house rules that a machine can check."""
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'mbcd_mmaction'

# What each room may import of ours, beside itself.
BELOW = {
    'compat': set(),
    'functional': set(),
    'models': {'functional'},
    'engine': {'functional', 'models'},
    'datasets': {'functional'},
    'evaluation': {'functional'},
}
BELOW['analysis'] = set(BELOW) - {'compat'}
BELOW['apis'] = BELOW['analysis'] | {'analysis'}
FORBIDDEN = {'momentum', 'alpha', 'beta', 'lambd', 'emd'}


def python_files(*folders):
    return sorted(path for folder in folders
                  for path in (ROOT / folder).rglob('*.py')
                  if '.mim' not in path.parts)


def name_of(path):
    return str(path.relative_to(ROOT))


def imported_modules(path):
    """Absolute names of what a file imports, relative imports resolved."""
    package = path.relative_to(ROOT).with_suffix('').parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1]
            base = '.'.join(base) if node.level else ''
            module = '.'.join(part for part in (base, node.module) if part)
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


def rooms_imported(path):
    """The rooms of the package that a file imports from."""
    for module in imported_modules(path):
        parts = module.split('.')
        if parts[0] == 'mbcd_mmaction' and len(parts) > 1:
            yield parts[1]


def test_every_room_has_its_rule():
    rooms = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert rooms == set(BELOW)


@pytest.mark.parametrize(
    'path', [path for path in python_files('mbcd_mmaction')
             if path.parent != PACKAGE], ids=name_of)
def test_imports_run_one_way(path):
    place = path.relative_to(PACKAGE).parts
    allowed = BELOW[place[0]] | {place[0]}
    # Names that are no room (version, __version__) say nothing of direction.
    wrong = {room for room in rooms_imported(path)
             if room in BELOW and room not in allowed}
    assert not wrong, f'{place[0]} may import {allowed}, imports {wrong}'
    outside = {module.partition('.')[0] for module in imported_modules(path)}
    assert not outside & {'tools', 'tests', 'configs'}


def test_a_wrong_import_is_seen():
    tree = ROOT / 'mbcd_mmaction/functional/__not_a_file__.py'

    class Text:
        relative_to = tree.relative_to

        @staticmethod
        def read_text(encoding):
            return 'from ..models import heads\nimport mbcd_mmaction.engine'

    assert set(rooms_imported(Text())) == {'models', 'engine'}


def test_functional_imports_torch_alone():
    outside = {
        module.partition('.')[0]
        for path in python_files('mbcd_mmaction/functional')
        for module in imported_modules(path)
    } - set(sys.stdlib_module_names)
    assert outside <= {'torch', 'mbcd_mmaction'}
    assert 'torch' in outside


def own_identifiers(tree):
    """Names that the code itself binds or reads; not keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            # An attribute of somebody else's object has the host's name.
            if (isinstance(node.ctx, ast.Store)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == 'self'):
                yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef,
                               ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or ''
        elif isinstance(node, ast.ExceptHandler):
            yield node.name or ''


def forbidden_words(tree):
    return {name for name in own_identifiers(tree)
            if FORBIDDEN & set(name.lower().split('_'))}


@pytest.mark.parametrize(
    'path', python_files('mbcd_mmaction', 'tools', 'configs', 'benchmarks'),
    ids=name_of)
def test_the_methods_own_names(path):
    found = forbidden_words(ast.parse(path.read_text(encoding='utf-8')))
    assert not found, (f'{found}: say ema_decay, distill_weight, inner_lr or '
                       'what it is; these letters mean other things elsewhere')


def test_a_forbidden_name_is_seen():
    for code in ('momentum = 1', 'def f(ema_momentum): ...', 'self.alpha = 1',
                 'import emd_tools as emd', 'class Beta: ...'):
        assert forbidden_words(ast.parse(code)), code
    for code in ('f(momentum=1)', 'y = x.momentum', 'norm.momentum = 1',
                 'betas = 1', 'x = "alpha"'):
        assert not forbidden_words(ast.parse(code)), code


CONFIGS = python_files('configs')
RUNNABLE = [path for path in CONFIGS if '_base_' not in path.parts]


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_configs_are_plain(path):
    """An import makes MMEngine take a config for a lazy one, and skip
    ``custom_imports``."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert not any(isinstance(node, (ast.Import, ast.ImportFrom))
                   for node in ast.walk(tree))
    assert Config._is_lazy_import(str(path)) is False
    assert 'work_dir' not in {
        target.id for node in tree.body if isinstance(node, ast.Assign)
        for target in node.targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize('path', RUNNABLE, ids=name_of)
def test_experiments_say_what_they_are_and_load_our_package(path):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert ast.get_docstring(tree), 'a config opens with its experiment'
    cfg = Config.fromfile(str(path), import_custom_modules=False)
    assert cfg.custom_imports == dict(imports=['mbcd_mmaction'],
                                      allow_failed_imports=False)
    assert cfg.default_scope == 'mmaction'


def test_there_are_configs():
    assert RUNNABLE


# Written so that this file does not contain what it looks for.
MACHINE_PATH = re.compile('|'.join(
    rf'(?<![\w.<-])/{top}/' for top in ('work', 'root', 'home', 'Users'))
    + r'|[A-Z]:\\Users')


def test_no_machine_paths_in_tracked_files():
    listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip('not a git checkout: ' + listed.stderr.strip())
    found = []
    for name in filter(None, listed.stdout.split('\0')):
        try:
            text = (ROOT / name).read_text(encoding='utf-8')
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        found += [f'{name}: {match.group()}'
                  for match in MACHINE_PATH.finditer(text)]
    assert not found


def test_a_machine_path_is_seen():
    for top in ('root', 'home', 'work'):
        assert MACHINE_PATH.search(f"open('/{top}/someone/data')")
    for text in ('./work_dirs/mini', 'docs/home/page', '<root>/clips'):
        assert not MACHINE_PATH.search(text)
