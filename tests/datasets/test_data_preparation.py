"""The commands of docs/data_preparation.md do what it says."""
import re
from pathlib import Path

import pytest
import tiny_media
import tiny_sets

ROOT = Path(__file__).parents[2]
TEXT = ROOT.joinpath('docs', 'data_preparation.md').read_text(
    encoding='utf-8')


CODE = re.findall(r'```python\n(.*?)```', TEXT, flags=re.DOTALL)


def run(code, old, new):
    assert repr(old) in code
    exec(code.replace(repr(old), repr(str(new))), {})


@pytest.mark.parametrize('layout', ['clips', 'frames'])
def test_the_check_of_epic(tmp_path, capsys, layout):
    write = dict(clips=tiny_media.write_set,
                 frames=tiny_sets.write_epic_frames)[layout]
    write(tmp_path, domains=('D1', 'D2', 'D3'), splits=('test', ), clips=2)
    run(CODE[0], 'data/epic-kitchens', tmp_path)
    line, = capsys.readouterr().out.splitlines()
    assert line.startswith(f'6 clips in the layout {layout} ')
    assert "('D3', 'put'): 1" in line


def test_the_check_of_hac(tmp_path, capsys):
    rows = [('a.mp4', 0), ('b.mp4', 1)]
    tiny_sets.write_hac_splits(tmp_path / 'HAC_Splits', {
        (domain, split): rows
        for domain in ('human', 'animal', 'cartoon')
        for split in ('train', 'test')})
    for domain in ('human', 'animal', 'cartoon'):
        for kind in ('videos', 'flow', 'audio'):
            (tmp_path / domain / kind).mkdir(parents=True)
    run(CODE[1], 'data/hac', tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines()
             if ' - ' not in line]
    assert lines == ['human 4 2', 'animal 4 2', 'cartoon 4 2']


def test_every_block_of_code_is_run():
    assert len(CODE) == 2


def test_commands_name_files_that_exist():
    commands = re.findall(r'python ((?:tools|configs)/\S+)(?: (configs/\S+))?',
                          TEXT)
    assert len(commands) > 2
    for names in commands:
        for name in filter(None, (n.strip('`') for n in names)):
            assert (ROOT / name).is_file(), name


def test_the_example_names_are_those_that_are_looked_for():
    item = tiny_media.row('P08_09', 579, 609, 4)
    for path in tiny_media.media_paths('', 'D1', 'test', item):
        assert f'{path.as_posix()}\n' in TEXT
