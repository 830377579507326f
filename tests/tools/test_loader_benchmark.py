"""The loader's benchmark runs, and both loaders give the same shapes."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = ['EPIC-like clips', 'EPIC-like clips, re-encoded',
         'EPIC-like jpg frames', 'HAC-like clips']
ROWS = ['video', 'flow', 'audio', 'whole sample', 'bare, and our reader',
        'bare, and our video']


def test_it_measures_each_modality_of_each_set(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'benchmarks/loader.py'), '--root',
         str(tmp_path), '--clips', '1', '--rounds', '1', '--seconds', '3',
         '--out', str(tmp_path / 'out/figures.json')],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()[1:]
    assert [line for line in lines if not line.startswith(' ')] == CASES
    assert [line[2:34].strip() for line in lines
            if line.startswith(' ')] == ROWS * len(CASES)
    found = json.loads((tmp_path / 'out/figures.json').read_text())
    assert found['clock'] == 'cpu'
    assert [(row['set'], row['what']) for row in found['rows']] == [
        (case, row) for case in CASES for row in ROWS]
    for row in found['rows']:
        assert 0 < row['low'] <= row['ratio'] <= row['high']
        assert row['samples_per_second'] * row['ours_ms'] - 1000 < 1e-6


def test_bare_decoding_finds_every_frame(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    from loader_bare import BareVideo
    from tiny_films import FILM, write_at
    path = tmp_path / 'a.mp4'
    for bf in ('0', '3'):
        write_at(path, FILM, [40 * n for n in range(60)], g='12', bf=bf)
        for numbers in ([0], range(5, 40, 2), [59], [30, 30, 3]):
            assert BareVideo(str(path), numbers)() == len(set(numbers))


def test_imageio_reads_in_the_place_of_ours(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    import loader_plain
    from tiny_films import FILM, write_at
    path = tmp_path / 'a.mp4'
    write_at(path, FILM, [40 * n for n in range(60)])
    frames = loader_plain.whole_clip(str(path))
    called = []

    class V3:

        @staticmethod
        def imread(name, plugin):
            called.append((name, plugin))
            return frames[:1]

    monkeypatch.setattr(loader_plain, '_imageio', [V3])
    assert len(loader_plain.whole_clip(str(path))) == 1
    assert called == [(str(path), 'pyav')]


def test_imageio_that_is_not_there(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    import loader_plain
    monkeypatch.setitem(sys.modules, 'imageio', None)
    with pytest.raises(ImportError, match='pip install'):
        loader_plain.read_by_imageio()
