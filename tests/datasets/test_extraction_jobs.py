"""Files that appear whole or not at all, whatever ends the run."""
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mbcd_mmaction.datasets.errors import MediaError
from mbcd_mmaction.datasets.extraction.jobs import Job, run_jobs
from mbcd_mmaction.datasets.extraction.outputs import (
    FolderLock,
    publish,
    temporary_names,
)

NUM_JOBS = 6


def write_pair(one, two, text, harm=None):
    """The work of the tests: two files, in two steps each."""
    for path in (one, two):
        with open(path, 'w') as file:
            file.write(text)
            file.flush()
            if harm == 'media':
                raise MediaError('a.mp4', 'it is bad')
            if harm == 'bug':
                raise TypeError('a mistake')
            if harm == 'die':
                os._exit(9)
            if harm == 'full':
                raise OSError(errno.ENOSPC, 'No space left on device')
            if harm == 'slow':
                time.sleep(.2)
            file.write(text)


def make_jobs(folder, harms=None):
    return [
        Job(f'clip {i}', (f'{i}.mp4', ),
            tuple(str(Path(folder, 'sub', f'{i}_{c}')) for c in 'xy'),
            dict(text=f'text {i}', harm=(harms or {}).get(i)))
        for i in range(NUM_JOBS)
    ]


def contents(folder):
    """All files of results below a folder."""
    return {path.name: path.read_text()
            for path in Path(folder).rglob('*_[xy]')}


WHOLE = {f'{i}_{c}': f'text {i}' * 2 for i in range(NUM_JOBS) for c in 'xy'}


def without(*numbers):
    return {name: text for name, text in WHOLE.items()
            if int(name[0]) not in numbers}


def run(folder, harms=None, workers=1, **options):
    return run_jobs(write_pair, make_jobs(folder, harms), folder,
                    workers=workers, progress=False, **options)


@pytest.mark.parametrize('workers', [1, 2])
def test_all_is_made_once(tmp_path, workers):
    report = run(tmp_path, workers=workers)
    assert report[:3] == (NUM_JOBS, 0, [])
    assert contents(tmp_path) == WHOLE
    times = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*_[xy]')}
    assert run(tmp_path, workers=workers)[:3] == (0, NUM_JOBS, [])
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert not list(tmp_path.rglob('*.part'))


@pytest.mark.parametrize('workers', [1, 2])
def test_failures_are_listed_and_the_rest_goes_on(tmp_path, workers):
    harms = {1: 'media', 4: 'bug'}
    if workers > 1:
        harms[2] = 'die'
    report = run(tmp_path, harms, workers)
    assert report.num_done == NUM_JOBS - len(harms)
    found = {item.name: item for item in report.failures}
    assert set(found) == {f'clip {i}' for i in harms}
    assert found['clip 1'].reason == 'no such file'
    assert found['clip 1'].detail == ''
    assert 'TypeError' in found['clip 4'].detail
    if workers > 1:
        assert found['clip 2'].reason == 'its process died (exit code 9)'
    assert contents(tmp_path) == without(*harms)
    assert not list(tmp_path.rglob('*.part'))
    listed = Path(report.failure_file).read_text().splitlines()
    assert [json.loads(line)['name'] for line in listed] == sorted(found)
    assert run(tmp_path, workers=workers)[:3] == (len(harms), NUM_JOBS - len(
        harms), [])
    assert not Path(report.failure_file).exists()
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize('workers', [1, 2])
def test_a_full_disk_ends_the_run(tmp_path, workers):
    harms = {i: 'full' for i in range(2, NUM_JOBS)}
    with pytest.raises(OSError, match='No space left') as caught:
        run(tmp_path, harms, workers)
    assert caught.value.errno == errno.ENOSPC
    assert set(contents(tmp_path)) <= set(without(*harms))
    assert not list(tmp_path.rglob('*.part'))


def test_half_a_pair_is_not_done(tmp_path):
    run(tmp_path)
    (tmp_path / 'sub/3_x').unlink()
    (tmp_path / 'sub/5_y').unlink()
    assert run(tmp_path).num_done == 2
    assert contents(tmp_path) == WHOLE


def test_overwrite(tmp_path):
    run(tmp_path)
    for path in tmp_path.rglob('*_x'):
        path.write_text('old')
    assert run(tmp_path).num_done == 0
    with pytest.raises(OSError):
        run(tmp_path, {3: 'full'}, overwrite=True)
    # What was not reached is not taken for new.
    assert run(tmp_path).num_done == NUM_JOBS - 3
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize('step', [0, 1, 2])
def test_publish_killed_at_any_step(tmp_path, monkeypatch, step):
    """Old, new, or not done: never x of one and y of the other."""
    outputs = [str(tmp_path / name) for name in ('x', 'y')]
    for path in outputs:
        Path(path).write_text('old')
    temporary = temporary_names(outputs)
    for path in temporary:
        Path(path).write_text('new')
    calls = []
    replace = os.replace

    def killed(source, target):
        calls.append(target)
        if len(calls) > step:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, 'replace', killed)
    if step < 2:
        with pytest.raises(KeyboardInterrupt):
            publish(temporary, outputs)
        assert not Path(outputs[0]).exists()
    else:
        publish(temporary, outputs)
        assert [Path(path).read_text() for path in outputs] == ['new'] * 2


def test_one_run_at_a_time(tmp_path):
    pytest.importorskip('fcntl', reason='the system has no such locks')
    with (FolderLock(tmp_path),
          pytest.raises(BlockingIOError, match='no other run')):
        run(tmp_path)
    assert run(tmp_path).num_done == NUM_JOBS


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / 'sub').mkdir()
    (left, ) = temporary_names([str(tmp_path / 'sub/7_x')])
    Path(left).write_text('half')
    run(tmp_path)
    assert not Path(left).exists()


def test_names_of_any_length(tmp_path):
    name = str(tmp_path / ('é' * 120))
    job = Job('long', (), (f'{name}_x', f'{name}_y'), dict(text='t'))
    assert run_jobs(write_pair, [job], tmp_path, 1, progress=False)[0] == 1


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from test_extraction_jobs import NUM_JOBS, run
if __name__ == '__main__':
    run({folder!r}, dict.fromkeys(range(NUM_JOBS), 'slow'), {workers})
"""


@pytest.mark.skipif(os.name == 'nt', reason='signals of POSIX')
@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize('name', ['SIGINT', 'SIGKILL'])
def test_stopped_in_the_middle_and_gone_on(tmp_path, name, workers):
    folder = tmp_path / 'out'
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT.format(
        paths=[str(Path(__file__).parent), str(Path(__file__).parents[2])],
        folder=str(folder), workers=workers))
    process = subprocess.Popen([sys.executable, str(script)],
                               stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    deadline = time.monotonic() + 120
    while not contents(folder):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(.02)
    if name == 'SIGINT':  # as a terminal does: all processes of the group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, errors = process.communicate(timeout=60)
    found = contents(folder)
    assert 0 < len(found) < len(WHOLE)
    assert found == {key: WHOLE[key] for key in found}
    if name == 'SIGINT':
        assert errors.count('Traceback') == 1
        assert errors.rstrip().endswith('KeyboardInterrupt')
        assert not list(folder.rglob('*.part'))
    report = run(folder, workers=workers)
    # Whoever was left alone may have ended its job meanwhile.
    assert report.num_done + report.num_skipped == NUM_JOBS
    assert report.num_skipped >= 1 and not report.failures
    assert contents(folder) == WHOLE
    assert not list(folder.rglob('*.part'))
