"""Each cure in mbcd_mmaction.compat: the defect shown, then the cure.

A defect is shown in a fresh interpreter without our package. Where the
installed host does not have it, that half is skipped with the reason, and
the cure is still tested on its own.
"""
import importlib.metadata
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub

from mbcd_mmaction import compat
from mbcd_mmaction.compat import (
    checkpoints,
    installed_packages,
    missing_modules,
    numpy_names,
)

ROOT = Path(__file__).parents[1]

# A finder that hides a module, put before code run in a subprocess.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {names!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Hidden())
"""


def run(code, *, hide=(), env=None):
    """Run code in a fresh interpreter; returns the completed process."""
    code = textwrap.dedent(code)
    if hide:
        code = HIDE.format(names=tuple(hide)) + code
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT), **(env or {})},
        cwd=os.path.abspath(os.sep), capture_output=True, text=True,
        timeout=300)


def test_report_names_every_cure_and_apply_is_idempotent():
    before = compat.report()
    finders = list(sys.meta_path)
    compat.apply()
    assert compat.report() == before
    assert sys.meta_path == finders
    assert set(before) == {
        'importlib_metadata', 'mmcv_version', 'drn', 'pkg_resources',
        'checkpoint_globals', 'numpy_inf', 'heads'
    }
    assert set(before.values()) <= {'applied', 'not needed'}


class TestDrn:

    def test_defect(self):
        if not missing_modules.drn_is_broken():
            pytest.skip('this MMAction2 has a working localizers.drn')
        done = run("""
            import importlib.metadata, sys
            sys.modules.setdefault('importlib_metadata', importlib.metadata)
            import mmaction.models
        """)
        assert done.returncode != 0
        assert 'drn' in done.stderr or 'torchvision' in done.stderr

    def test_cure(self):
        done = run("""
            import mbcd_mmaction, mmaction.models
            from mmaction.registry import MODELS
            assert MODELS.get('ResNet3dSlowFast') is not None
            if mbcd_mmaction.compat.report()['drn'] == 'applied':
                try:
                    MODELS.build(dict(type='DRN', vocab_size=1))
                except ImportError as error:
                    print(error)
            else:
                print('not usable torchvision')
        """)
        assert done.returncode == 0, done.stderr
        assert 'not usable' in done.stdout
        assert 'torchvision' in done.stdout

    def test_a_working_drn_is_left_alone(self, tmp_path, monkeypatch):
        package = tmp_path / 'mmaction'
        (package / 'models/localizers/drn').mkdir(parents=True)
        (package / '__init__.py').touch()
        spec = importlib.machinery.ModuleSpec('mmaction', None,
                                              is_package=True)
        spec.submodule_search_locations = [str(package)]
        monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
        monkeypatch.setattr(missing_modules, 'is_importable',
                            lambda name: True)
        assert missing_modules.drn_is_broken()
        (package / 'models/localizers/drn/drn.py').touch()
        assert not missing_modules.drn_is_broken()
        monkeypatch.setattr(missing_modules, 'is_importable',
                            lambda name: name != 'torchvision')
        assert missing_modules.drn_is_broken()


class TestImportlibMetadata:

    def test_defect(self):
        done = run('import mmaction.utils.dependency',
                   hide=['importlib_metadata'])
        assert done.returncode != 0
        assert 'importlib_metadata' in done.stderr

    def test_cure(self):
        done = run(
            """
            import mbcd_mmaction, mmaction.utils.dependency
            print(mbcd_mmaction.compat.report()['importlib_metadata'])
            """, hide=['importlib_metadata'])
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == 'applied'

    def test_an_installed_backport_is_left_alone(self, tmp_path):
        (tmp_path / 'importlib_metadata.py').write_text(
            'from importlib.metadata import *\n'
            'from importlib.metadata import distribution\nMARK = 1\n')
        done = run(
            """
            import mbcd_mmaction, importlib_metadata
            print(mbcd_mmaction.compat.report()['importlib_metadata'],
                  importlib_metadata.MARK)
            """, env={'PYTHONPATH': os.pathsep.join([str(tmp_path),
                                                     str(ROOT)])})
        assert done.stdout.strip() == 'not needed 1', done.stderr


class TestPkgResources:
    EXTERNAL = """
        import os, sys, tempfile
        {first}
        from mmengine.config import Config
        path = os.path.join(tempfile.mkdtemp(), 'child.py')
        with open(path, 'w') as file:
            file.write("_base_ = 'mmaction::_base_/default_runtime.py'")
        print(Config.fromfile(path).default_scope)
    """

    def test_defect(self):
        if 'pkg_resources' not in Path(
                sys.modules['mmengine'].__file__).parent.joinpath(
                    'utils/package_utils.py').read_text():
            pytest.skip('this MMEngine does not use pkg_resources')
        done = run(self.EXTERNAL.format(first=''), hide=['pkg_resources'])
        assert done.returncode != 0
        assert 'pkg_resources' in done.stderr

    def test_cure(self):
        done = run(self.EXTERNAL.format(first='import mbcd_mmaction'),
                   hide=['pkg_resources'])
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == 'mmaction'

    def test_cure_reaches_the_hub(self):
        done = run(
            """
            import mmengine.hub.hub, mbcd_mmaction
            from mmengine.hub import get_config
            print(get_config('mmaction::_base_/default_runtime.py')
                  .default_scope)
            """, hide=['pkg_resources'])
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == 'mmaction'

    def test_look_ups(self):
        import mmaction
        folder = os.path.dirname(mmaction.__file__)
        assert installed_packages.is_installed('mmaction2')
        assert installed_packages.is_installed('mmaction')
        assert not installed_packages.is_installed('no_such_package_here')
        assert installed_packages.get_installed_path('mmaction2') == folder
        assert installed_packages.get_installed_path('mmaction') == folder
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            installed_packages.get_installed_path('no_such_package_here')

    def test_namespace_package_has_no_path(self, tmp_path, monkeypatch):
        (tmp_path / 'a_namespace_of_nothing').mkdir()
        monkeypatch.syspath_prepend(str(tmp_path))
        assert not installed_packages.is_installed('a_namespace_of_nothing')
        with pytest.raises(RuntimeError, match='namespace package'):
            installed_packages.get_installed_path('a_namespace_of_nothing')


class TestMmcvVersion:
    FAKE = """
        import sys, types
        import mmcv
        mmcv.__version__ = {version!r}
        {then}
    """

    def test_absent(self):
        done = run('import mbcd_mmaction', hide=['mmcv'])
        assert done.returncode != 0
        assert "pip install 'mmcv-lite>=2.0,<2.2'" in done.stderr
        assert 'ImportError' in done.stderr

    @pytest.mark.parametrize('version', ['1.7.2', '2.2.0', '2.3.6'])
    def test_wrong_version(self, version):
        host = run(self.FAKE.format(version=version, then='import mmaction'))
        assert 'AssertionError' in host.stderr
        ours = run(self.FAKE.format(version=version,
                                    then='import mbcd_mmaction'))
        assert 'ImportError' in ours.stderr
        assert f'got {version}' in ours.stderr
        assert 'mmcv-lite>=2.0,<2.2' in ours.stderr

    def test_newer_version_on_request(self):
        done = run(
            self.FAKE.format(
                version='2.3.6',
                then='import mbcd_mmaction, mmaction; print(mmcv.__version__,'
                "mbcd_mmaction.compat.report()['mmcv_version'])"),
            env={'MBCD_ALLOW_NEW_MMCV': '1'})
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == '2.3.6 applied'


def mmengine_checkpoint():
    """What MMEngine's runner stores, with log buffers and NumPy numbers."""
    hub = MessageHub('test_compat')
    for value in (0.5, 0.25):
        hub.update_scalar('train/loss', value)
    hub.update_info('best_score', np.float64(0.75))
    hub.update_info('epoch', 3)
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimizer.step()
    return dict(
        meta=dict(cfg='model = dict()', seed=1, epoch=1, iter=2,
                  dataset_meta=ConfigDict(classes=('put', 'take'),
                                          more=dict(a=1))),
        state_dict=dict(weight=torch.arange(3.)),
        message_hub=hub.state_dict(),
        optimizer=optimizer.state_dict(),
        param_schedulers=[dict(last_step=1)])


class TestCheckpoints:

    def test_defect(self, tmp_path):
        path = tmp_path / 'epoch_1.pth'
        torch.save(mmengine_checkpoint(), path)
        done = run(f"""
            import mmengine, torch
            torch.load({str(path)!r}, weights_only=True)
        """)
        assert done.returncode != 0
        assert 'UnpicklingError' in done.stderr

    def test_cure(self, tmp_path):
        path = tmp_path / 'epoch_1.pth'
        stored = mmengine_checkpoint()
        torch.save(stored, path)
        loaded = torch.load(path, weights_only=True)
        buffer = loaded['message_hub']['log_scalars']['train/loss']
        assert isinstance(buffer, HistoryBuffer)
        assert buffer.data[0].tolist() == [0.5, 0.25]
        assert buffer.mean() == 0.375
        assert buffer.statistics('max') == 0.5
        info = loaded['message_hub']['runtime_info']
        assert info['best_score'] == 0.75 and info['epoch'] == 3
        assert torch.equal(loaded['state_dict']['weight'], torch.arange(3.))
        assert loaded['meta']['dataset_meta'].more.a == 1
        step = loaded['optimizer']['state'][0]['exp_avg']
        assert torch.equal(step,
                           stored['optimizer']['state'][0]['exp_avg'])

    def test_numpy_1_paths(self, tmp_path):
        new, old = tmp_path / 'new.pth', tmp_path / 'old.pth'
        torch.save(mmengine_checkpoint(), new)
        with zipfile.ZipFile(new) as source, \
                zipfile.ZipFile(old, 'w') as target:
            for name in source.namelist():
                data = source.read(name)
                if name.endswith('data.pkl'):
                    assert b'numpy._core.multiarray' in data or \
                        b'numpy.core.multiarray' in data
                    data = data.replace(b'numpy._core.multiarray',
                                        b'numpy.core.multiarray')
                target.writestr(name, data)
        loaded = torch.load(old, weights_only=True)
        assert loaded['message_hub']['runtime_info']['best_score'] == 0.75

    def test_survives_another_librarys_context(self, tmp_path):
        path = tmp_path / 'epoch_1.pth'
        torch.save(mmengine_checkpoint(), path)
        with torch.serialization.safe_globals([HistoryBuffer, np.ndarray]):
            torch.load(path, weights_only=True)
        torch.load(path, weights_only=True)

    def test_the_list_is_closed(self):
        entries = checkpoints.checkpoint_globals()
        assert all(isinstance(entry, tuple) for entry in entries)
        assert not any(thing is getattr for thing, _ in entries)
        assert {name for _, name in entries} == {
            'mmengine.logging.history_buffer.HistoryBuffer',
            'builtins.getattr', 'mmengine.config.config.ConfigDict',
            'numpy.ndarray', 'numpy.dtype',
            *(f'numpy.{core}.multiarray.{function}'
              for core in ('core', '_core')
              for function in ('_reconstruct', 'scalar')),
            *(f'numpy.dtypes.{name}DType'
              for name in ('Float64', 'Float32', 'Int64', 'Int32'))
        }


class Reduced:
    """Pickles as a call of ``function(*args)``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def eval_by_getattr(code):
    """A file that reaches ``eval`` through getattr and what torch allows."""
    rebuild = torch._tensor._rebuild_from_type_v2
    builtins_ = Reduced(getattr, getattr, '__self__')
    evaluate = Reduced(getattr, builtins_, 'eval')
    # The state None ends torch's function early, after func(*args) ran.
    return Reduced(rebuild, evaluate, torch.Tensor, (code, ), {})


class TestMaliciousCheckpoints:

    @pytest.mark.parametrize('name', ['system', 'eval_by_getattr'])
    def test_refused_before_it_runs(self, tmp_path, name):
        mark = tmp_path / 'it_ran'
        if name == 'system':
            payload = Reduced(os.system, f'touch "{mark}"')
        else:
            payload = eval_by_getattr(
                f'__import__("pathlib").Path({str(mark)!r}).touch()')
        path = tmp_path / 'bad.pth'
        torch.save(dict(state_dict=payload), path)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=True)
        assert not mark.exists()

    def test_the_file_is_dangerous_with_the_real_getattr(self, tmp_path):
        """The same file does run code once plain getattr is allowed."""
        mark, path = tmp_path / 'it_ran', tmp_path / 'bad.pth'
        torch.save(
            dict(state_dict=eval_by_getattr(
                f'__import__("pathlib").Path({str(mark)!r}).touch()')), path)
        run(f"""
            import torch
            with torch.serialization.safe_globals([getattr]):
                torch.load({str(path)!r}, weights_only=True)
        """)
        assert mark.exists()

    def test_stand_in_answers_nothing_else(self):
        for name in checkpoints._STATISTICS:
            assert checkpoints.history_buffer_method(
                HistoryBuffer, name) is getattr(HistoryBuffer, name)
        for owner, name in ((HistoryBuffer, '__init__'),
                            (HistoryBuffer, 'register_statistics'),
                            (getattr, '__self__'), (HistoryBuffer(), 'mean'),
                            (str, 'mean')):
            with pytest.raises(pickle.UnpicklingError, match='refused'):
                checkpoints.history_buffer_method(owner, name)


class TestNumPyInf:
    COMPACT = """
        {first}
        import numpy as np
        from mmaction.datasets.transforms import PoseCompact
        keypoint = np.array([[[[20., 30.], [60., 90.]]]])
        done = PoseCompact(padding=0., threshold=10)(
            dict(img_shape=(100, 100), keypoint=keypoint))
        print(done['img_shape'], hasattr(np, 'Inf'))
    """

    def test_defect(self):
        if hasattr(np, 'Inf'):
            pytest.skip('this NumPy still has np.Inf')
        done = run(
            self.COMPACT.format(
                first='import importlib.metadata, sys; sys.modules.setdefault'
                "('importlib_metadata', importlib.metadata)"))
        assert done.returncode != 0
        assert 'np.Inf' in done.stderr

    @pytest.mark.parametrize('first', [
        'import mbcd_mmaction',
        'from mbcd_mmaction import compat; import mmaction.datasets; '
        'compat._applied.pop("numpy_inf"); compat.apply()',
    ], ids=['before', 'after'])
    def test_cure_whether_imported_before_or_after(self, first):
        done = run(self.COMPACT.format(first=first))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith('(60, 40)')
        assert done.stdout.strip().endswith(str(hasattr(np, 'Inf')))

    def test_frame_extract(self, tmp_path):
        import cv2
        from mmaction.utils import frame_extract
        video = str(tmp_path / 'clip.avi')
        writer = cv2.VideoWriter(video, cv2.VideoWriter_fourcc(*'MJPG'), 5,
                                 (64, 48))
        for value in (0, 128):
            writer.write(np.full((48, 64, 3), value, np.uint8))
        writer.release()
        paths, frames = frame_extract(video, 24, str(tmp_path / 'frames'))
        assert len(paths) == 2
        assert frames[0].shape == (24, 32, 3)

    def test_the_stand_in_is_numpy(self):
        module = numpy_names.NumPyWithInf('numpy')
        assert module.Inf == np.inf
        assert module.array is np.array
        assert not hasattr(module, 'no_such_name_in_numpy')


def test_heavy_modules_are_not_imported_to_be_patched():
    done = run("""
        import sys, types
        root = types.ModuleType('mbcd_mmaction')
        root.__path__ = [sys.argv[1] if len(sys.argv) > 1 else PATH]
        sys.modules['mbcd_mmaction'] = root
        from mbcd_mmaction import compat
        compat.apply()
        print([name for name in ('mmaction.models', 'mmaction.datasets',
                                 'mmaction.utils') if name in sys.modules])
    """.replace('PATH', repr(str(ROOT / 'mbcd_mmaction'))))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[]'
