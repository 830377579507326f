"""What a person installs: metadata, sdist, wheel, MIM files, pinned versions.

Everything is built from a copy of the sources, offline.
"""
import ast
import importlib.metadata
import importlib.util
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import mbcd_mmaction

ROOT = Path(__file__).parents[1]
PYTHONS = ('3.10', '3.11', '3.12', '3.13')
# Import name to the distribution that setup.py names; None: comes with one
# that is named, or is asked of the user (mmcv), on purpose.
DISTRIBUTIONS = {
    'mmaction': 'mmaction2', 'mmcv': None, 'cv2': None, 'av': 'av',
    'PIL': 'pillow', 'sklearn': 'scikit-learn',
    'yaml': None, 'importlib_metadata': 'importlib_metadata',
}


def call_backend(hook, folder, target):
    """Call a hook of setup.py's build backend, without isolation."""
    target.mkdir()
    code = ('import sys; from setuptools import build_meta; '
            f'print(build_meta.{hook}(sys.argv[1]))')
    done = subprocess.run([sys.executable, '-c', code, str(target)],
                          cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return target / done.stdout.split()[-1]


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """A copy of the checkout, without what building it left behind."""
    if importlib.util.find_spec('setuptools') is None:
        pytest.skip('setuptools is not installed')
    import setuptools
    if Version(setuptools.__version__) < Version('70.1'):
        pytest.skip('building a wheel offline takes setuptools >= 70.1')
    target = tmp_path_factory.mktemp('sources') / 'checkout'
    top = ('.ci', 'benchmarks', 'configs', 'docs', 'mbcd_mmaction',
           'requirements', 'tests', 'tools')
    skip = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in top:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=skip)
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith('.'):
            shutil.copy(file, target)
    return target


@pytest.fixture(scope='module')
def sdist(sources, tmp_path_factory):
    return call_backend('build_sdist', sources,
                        tmp_path_factory.mktemp('sdist') / 'out')


@pytest.fixture(scope='module')
def wheel(sdist, tmp_path_factory):
    """The wheel built from the unpacked sdist: so the sdist is complete."""
    place = tmp_path_factory.mktemp('wheel')
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter='data')
    (folder, ) = place.iterdir()
    return call_backend('build_wheel', folder, place / 'out')


@pytest.fixture(scope='module')
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name, ) = [name for name in archive.namelist()
                    if name.endswith('.dist-info/METADATA')]
        return Parser().parsestr(archive.read(name).decode())


def shipped(*folders):
    return {str(path.relative_to(ROOT)) for folder in folders
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
            and '.mim' not in path.parts}


def test_metadata(metadata):
    assert metadata['Name'] == 'mbcd_mmaction'
    assert metadata['Version'] == mbcd_mmaction.__version__
    python = SpecifierSet(metadata['Requires-Python'])
    assert [v for v in ('3.9', *PYTHONS, '3.14') if v in python] == list(
        PYTHONS)
    assert set(metadata.get_all('Provides-Extra')) == {
        'lite', 'plot', 'jpg', 'cluster', 'dev'}


def requirements(metadata, extra=None):
    """Names of what is required always, or by one extra."""
    parsed = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    return {item.name.lower(): item for item in parsed
            if ((item.marker is None) if extra is None else
                item.marker and item.marker.evaluate({'extra': extra}))}


def test_requirements(metadata):
    always = requirements(metadata)
    assert {'torch', 'mmengine', 'mmaction2', 'numpy', 'decord',
            'librosa'} <= set(always)
    assert '0.10.7' in always['mmengine'].specifier
    assert '1.0.0' not in always['mmengine'].specifier
    assert '1.2.0' in always['mmaction2'].specifier
    # mmcv and mmcv-lite are one module, and so are the OpenCV wheels.
    assert not {name for name in always
                if name.startswith(('mmcv', 'opencv'))}
    lite = requirements(metadata, 'lite')
    assert set(lite) == {'mmcv-lite'}
    assert '2.1.0' in lite['mmcv-lite'].specifier
    assert '2.2.0' not in lite['mmcv-lite'].specifier


def third_party_imports():
    for path in (ROOT / 'mbcd_mmaction').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition('.')[0]
                            for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.partition('.')[0]


def test_every_import_is_declared(metadata):
    declared = {None}.union(*(requirements(metadata, extra) for extra in (
        None, 'plot', 'jpg', 'cluster')))
    used = set(third_party_imports()) - set(sys.stdlib_module_names) - {
        'mbcd_mmaction'}
    assert 'torch' in used
    undeclared = {name for name in used
                  if DISTRIBUTIONS.get(name, name) not in declared}
    assert not undeclared


def test_sdist(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    assert shipped('.ci', 'benchmarks', 'configs', 'docs', 'mbcd_mmaction',
                   'tools') <= names
    assert {'LICENSE', 'setup.py', 'pyproject.toml', 'model-index.yml',
            'requirements/constraints.txt', 'Makefile'} <= names
    assert not any('.mim' in name for name in names)


def test_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in shipped('mbcd_mmaction'):
        assert name in names
    # docs too: error messages name docs/data_preparation.md.
    for name in {*shipped('configs', 'docs', 'tools'), 'model-index.yml'}:
        assert f'mbcd_mmaction/.mim/{name}' in names
    assert {name.partition('/')[0] for name in names} == {
        'mbcd_mmaction',
        f'mbcd_mmaction-{mbcd_mmaction.__version__}.dist-info'}
    assert any(name.endswith('LICENSE') for name in names)


@pytest.fixture(scope='module')
def editable(sources, tmp_path_factory):
    """The wheel of an editable installation; the sources get their links."""
    return call_backend('build_editable', sources,
                        tmp_path_factory.mktemp('editable') / 'out')


def test_an_editable_installation_links_the_mim_files(editable, sources):
    mim = sources / 'mbcd_mmaction/.mim'
    for name in ('configs', 'docs', 'tools', 'model-index.yml'):
        assert (mim / name).is_symlink()
        assert (mim / name).resolve() == (sources / name).resolve()


class Environment:
    """An environment with one wheel, and what this one has behind it."""

    def __init__(self, folder, wheel):
        venv.create(folder, with_pip=False, symlinks=os.name != 'nt')
        self.python = next(folder.glob('[bS]*/python*'))
        self.site = Path(sysconfig.get_path('purelib', 'venv', dict(
            base=str(folder), platbase=str(folder))))
        self.env = {name: value for name, value in os.environ.items()
                    if name not in ('PYTHONPATH', 'PYTHONHOME')}
        self.env['OMP_NUM_THREADS'] = '1'
        self._run(folder, sys.executable, '-m', 'pip', '--python',
                  self.python, 'install', '--no-deps', '--no-index',
                  '--quiet', wheel)
        # Paths alone: this environment's own .pth files are not read there.
        (self.site / 'behind.pth').write_text('\n'.join(
            site.getsitepackages()))

    def run(self, folder, *arguments):
        """What its interpreter prints, started in a folder."""
        return self._run(folder, self.python, '-W', 'ignore', *arguments)

    def _run(self, folder, *command):
        done = subprocess.run([str(word) for word in command], cwd=folder,
                              env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    @property
    def package(self):
        """Where MIM looks for ``.mim``: the first line of top_level.txt."""
        (told, ) = self.site.glob('mbcd_mmaction-*.dist-info/top_level.txt')
        # Joined with an absolute path, a path is that.
        return self.site / told.read_text().splitlines()[0]


def small_training(mini_root):
    """Options of one short epoch on the small mini set."""
    parts = [f'{part}_dataloader.dataset.data_root={mini_root}'
             for part in ('train', 'val', 'test')]
    return ['--cfg-options', 'train_cfg.max_epochs=1', *parts]


@pytest.mark.skipif(not list(importlib.metadata.distributions(name='pip')),
                    reason='pip is not installed')
@pytest.mark.parametrize('kind', ['wheel', 'editable'])
def test_trains_where_it_is_installed(kind, request, sources, mini_root,
                                      tmp_path):
    """What ``mim train mbcd_mmaction CONFIG`` runs, in an empty folder."""
    environment = Environment(tmp_path / 'env',
                              request.getfixturevalue(kind))
    folder = tmp_path / 'empty'
    folder.mkdir()
    package = environment.package
    imported = environment.run(
        folder, '-c', 'import mbcd_mmaction; print(mbcd_mmaction.__file__)')
    assert Path(imported.strip()) == package / '__init__.py'
    assert package.parent == (environment.site if kind == 'wheel' else
                              sources.resolve())
    mim = package / '.mim'
    usage = environment.run(folder, mim / 'tools/train.py', '-h')
    assert '--launcher' in usage and '--gpus' not in usage
    if kind == 'editable':  # the rest is the same, and takes long
        return
    environment.run(folder, mim / 'tools/train.py',
                    mim / 'configs/mbcd/mini_d1.py', '--launcher', 'none',
                    '--work-dir', 'run', *small_training(mini_root))
    assert (folder / 'run/epoch_1.pth').is_file()


@pytest.mark.skipif(importlib.util.find_spec('mim') is None,
                    reason='openmim is not installed')
def test_mim_trains(mini_root, tmp_path):
    if not (Path(mbcd_mmaction.__path__[0]) / '.mim').is_dir():
        pytest.skip('the package on the path is not an installed one')
    done = subprocess.run(
        [sys.executable, '-m', 'mim', 'train', 'mbcd_mmaction',
         str(ROOT / 'configs/mbcd/mini_d1.py'), '--gpus', '0', '--work-dir',
         str(tmp_path), *small_training(mini_root)],
        capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (tmp_path / 'epoch_1.pth').is_file()


def pins():
    for line in (ROOT / 'requirements/constraints.txt').read_text(
            ).splitlines():
        if line and not line.startswith('#'):
            yield Requirement(line)


@pytest.mark.parametrize('python', PYTHONS)
def test_each_requirement_is_pinned_once(metadata, python):
    environment = {'python_version': python,
                   'python_full_version': f'{python}.0'}
    pinned = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(environment):
            name = pin.name.lower().replace('_', '-')
            assert name not in pinned, f'{name} is pinned twice'
            (specifier, ) = pin.specifier
            assert specifier.operator == '=='
            pinned[name] = specifier.version
    wanted = [Requirement(text) for text in metadata.get_all('Requires-Dist')]
    for item in wanted:
        name = item.name.lower().replace('_', '-')
        assert pinned[name] in item.specifier, item


def test_ci_entry_runs_lint_and_tests():
    script = (ROOT / '.ci/run')
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert 'set -euo pipefail' in lines
    assert lines.index('make lint') < lines.index('make test')
