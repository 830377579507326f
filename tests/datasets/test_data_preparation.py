"""The commands of docs/data_preparation.md do what it says."""
import re
from pathlib import Path

import pytest
import tiny_media

TEXT = Path(__file__).parents[2].joinpath(
    'docs', 'data_preparation.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('complete', [True, False])
def test_the_check_lists_clips_and_missing_files(tmp_path, capsys, complete):
    rows = tiny_media.write_set(
        tmp_path, domains=('D1', 'D2', 'D3'), splits=('test', ), clips=2)
    if not complete:
        video, *_ = tiny_media.media_paths(tmp_path, 'D2', 'test',
                                           rows['D2_test'][1])
        video.unlink()
    code, = re.findall(r'```python\n(.*?)```', TEXT, flags=re.DOTALL)
    assert "'data/epic-kitchens'" in code
    exec(code.replace("'data/epic-kitchens'", repr(str(tmp_path))), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith('6 clips;')
    assert "('D3', 'put'): 1" in first
    if complete:
        assert second == '0 files are missing []'
    else:
        assert second == f'1 files are missing [{str(video)!r}]'


def test_the_example_names_are_those_that_are_looked_for():
    item = tiny_media.row('P08_09', 579, 609, 4)
    for path in tiny_media.media_paths('', 'D1', 'test', item):
        assert f'{path.as_posix()}\n' in TEXT
