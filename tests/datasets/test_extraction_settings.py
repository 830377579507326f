"""Flow of one cache is all computed alike."""
import json

import own_videos
import pytest
import tiny_sets

from mbcd_mmaction.datasets.extraction import from_manifest
from mbcd_mmaction.datasets.extraction.from_manifest import extract_flow
from mbcd_mmaction.datasets.extraction.outputs import FolderLock
from mbcd_mmaction.datasets.readers import VideoReader

FRAMES = 9


@pytest.fixture
def extract(tmp_path):
    """Two lists, of a clip each, with one cache between them."""
    for name in 'ab':
        own_videos.write_movie(tmp_path / f'{name}.mp4',
                               own_videos.moving(FRAMES, 1))
        tiny_sets.write_manifest(tmp_path / f'{name}.csv', [
            dict(video=f'{name}.mp4', label=0, domain='d')])

    def run(name, **options):
        return extract_flow(str(tmp_path / f'{name}.csv'), workers=1,
                            progress=False, short_side=64, **options)

    return run


def noted(folder):
    return json.loads((folder / 'derived/flow/settings.json').read_text())


def length(folder, name):
    path = folder / f'derived/flow/{name}.mp4_x.mp4'
    return VideoReader(str(path)).num_frames if path.exists() else None


def test_other_settings_redo_all_or_nothing(extract, tmp_path):
    extract('a')
    with pytest.raises(ValueError, match='another --cache, or --overwrite'):
        extract('a', step=2)
    assert extract('a', step=2, overwrite=True).num_done == 1
    assert noted(tmp_path)['step'] == 2
    assert length(tmp_path, 'a') == (FRAMES - 1) // 2
    assert extract('a', step=2).num_skipped == 1


def test_flow_of_another_list_is_not_left_between(extract, tmp_path):
    extract('a')
    extract('b')
    with pytest.raises(ValueError, match=r'a\.mp4_x\.mp4 \(1 such files'):
        extract('b', step=2, overwrite=True)
    # Nothing was touched, and the same settings may redo a part.
    assert noted(tmp_path)['step'] == 1
    assert length(tmp_path, 'a') == length(tmp_path, 'b') == FRAMES - 1
    assert extract('b', overwrite=True).num_done == 1


def test_a_run_that_is_refused_notes_nothing(extract, tmp_path):
    pytest.importorskip('fcntl', reason='the system has no such locks')
    extract('a')
    with (FolderLock(tmp_path / 'derived/flow'),
          pytest.raises(BlockingIOError, match='no other run')):
        extract('a', step=2, overwrite=True)
    assert noted(tmp_path)['step'] == 1
    assert length(tmp_path, 'a') == FRAMES - 1


def test_killed_before_the_note(extract, tmp_path, monkeypatch):
    """No old flow under new settings, nor half a note."""
    extract('a')
    with monkeypatch.context() as patch:
        def killed(*_):
            raise KeyboardInterrupt

        patch.setattr(from_manifest, 'publish', killed)
        with pytest.raises(KeyboardInterrupt):
            extract('a', step=2, overwrite=True)
    assert noted(tmp_path)['step'] == 1
    assert length(tmp_path, 'a') is None
    assert extract('a').num_done == 1
    assert not list(tmp_path.rglob('*.part'))
