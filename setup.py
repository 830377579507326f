"""Packaging; MIM finds tools and configs in ``mbcd_mmaction/.mim``."""
import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).parent
# What `mim train mbcd_mmaction CONFIG` looks for, and the documents that error
# messages name.
MIM_FILES = ('configs', 'docs', 'tools', 'model-index.yml')


def read_text(name: str) -> str:
    """The text of a file beside this one; empty where it is not there."""
    path = ROOT / name
    return path.read_text(encoding='utf-8') if path.is_file() else ''


def read_version() -> str:
    """The version in version.py, without importing the package."""
    names: dict = {}
    exec(read_text('mbcd_mmaction/version.py'), names)
    return names['__version__']


class BuildWithMim(build_py):
    """Add ``.mim``: copies in a wheel, links in an editable installation."""

    def run(self) -> None:
        super().run()
        if getattr(self, 'editable_mode', False):
            self.fill(ROOT / 'mbcd_mmaction/.mim', link=True)
        else:
            self.fill(Path(self.build_lib) / 'mbcd_mmaction/.mim', link=False)

    def fill(self, target: Path, link: bool) -> None:
        """Put links to, or copies of, the MIM files into ``target``."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if link:
                os.symlink(os.path.relpath(source, target), target / name)
            elif source.is_dir():
                shutil.copytree(
                    source, target / name,
                    ignore=shutil.ignore_patterns('__pycache__', '*.py[co]'))
            else:
                shutil.copy(source, target / name)


class EditableWithMim(editable_wheel):
    """Tell MIM where an editable installation's package lies.

    MIM joins the folder of the metadata, site-packages, with the first line
    of ``top_level.txt``; an absolute path survives that. The module's name
    follows, for whoever else reads the file.
    """

    def _ensure_dist_info(self) -> None:
        super()._ensure_dist_info()
        (Path(self.dist_info_dir) / 'top_level.txt').write_text(
            f'{ROOT.resolve() / "mbcd_mmaction"}\nmbcd_mmaction\n',
            encoding='utf-8')


setup(
    name='mbcd_mmaction',
    version=read_version(),
    description='Multi-modal domain generalization by modality-balanced '
    'collaborative distillation, for MMAction2',
    long_description=read_text('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mbcd_mmaction', 'mbcd_mmaction.*']),
    cmdclass={'build_py': BuildWithMim, 'editable_wheel': EditableWithMim},
    python_requires='>=3.10,<3.14',
    # mmcv comes as mmcv or as mmcv-lite, two distributions of one module that
    # must not be installed together, so neither stands here: the extra `lite`
    # brings one, and importing the package says so where both are absent.
    # No OpenCV wheel either: mmengine and mmaction2 bring theirs.
    install_requires=[
        'torch>=2.6',  # checkpoints are read by a closed list of names
        'numpy',
        'scipy>=1.15',  # exact signed-rank tests where differences tie
        'mmengine>=0.10.4,<1',
        'mmaction2==1.2.*',
        'importlib_metadata',  # mmaction2 imports it and does not declare it
        'decord>=0.6',
        'av>=12',
        'librosa>=0.10',
        'soundfile>=0.12',
        'soxr>=0.3',
        'pillow>=9',  # sizes of jpg frames, from their headers
        'pandas>=1.5',  # EPIC-Kitchens' annotations are pickled DataFrames
    ],
    extras_require={
        'lite': ['mmcv-lite>=2.0,<2.2'],
        # figures: pictures, and t-SNE with its silhouettes
        'plot': ['matplotlib', 'scikit-learn'],
        'jpg': ['simplejpeg>=1.7'],  # jpg frames in less time, same values
        'cluster': ['submitit>=1.5'],  # tools/benchmark.py on Slurm
        'dev': [
            'pytest>=7.4', 'pytest-xdist>=3.5', 'ruff>=0.6',
            'codespell>=2.2', 'mypy>=1.8', 'setuptools>=70.1', 'submitit>=1.5'
        ],
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
