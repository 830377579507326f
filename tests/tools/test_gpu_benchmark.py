"""The GPU's benchmark: its script on a CPU, its JSON, and how it fails."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / 'benchmarks/gpu'
SECTIONS = ['environment', 'step', 'trace', 'loader', 'checks']
SPREAD = {'q1', 'median', 'q3'}
# The rest is compared with a GPU's own behaviour.
NEED_A_GPU = {'share of the average', 'waiting for the GPU'}


def run(place, *args, **env):
    """The command's result, and what it wrote."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(HERE / 'run.py'), '--device',
         'cpu', '--tiny', '--out', str(place / 'results.json'), *args],
        capture_output=True, text=True, cwd=place, timeout=300,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **env})
    path = place / 'results.json'
    return done, json.loads(path.read_text()) if path.exists() else None


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """All sections in one process, the quicker way."""
    place = tmp_path_factory.mktemp('gpu')
    done, results = run(place, '--in-process')
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return place, done, results


def data_of(whole, name):
    """What a section found."""
    return whole[2]['sections'][name]['data']


def test_every_section_is_there(whole):
    _, done, results = whole
    assert (results['schema'], results['device'], results['tiny'],
            results['batch']) == (1, 'cpu', True, 4)
    assert list(results['sections']) == SECTIONS
    for name, found in results['sections'].items():
        assert set(found) == {'status', 'seconds', 'limit', 'data'}, found
        assert found['status'] == 'ok' and found['data']
        assert f'\n## {name}: ok' in done.stdout
    assert 'tiny: a trial of the script' in done.stdout
    assert sum(f['limit'] for f in results['sections'].values()) < 600


def test_environment(whole):
    data = data_of(whole, 'environment')
    assert data['gpu'] is None and data['torch'] and data['cpu_cores'] >= 1
    for name in ('mmengine', 'mmaction', 'mmcv', 'mbcd_mmaction'):
        assert data['packages'][name][0].isdigit()


def test_step(whole):
    cases = data_of(whole, 'step')['precisions']
    assert list(cases) == ['fp32', 'tf32', 'bf16', 'fp16']
    for precision in ('fp32', 'fp16'):
        assert list(cases[precision]) == ['ERM', 'MBCD frozen', 'MBCD batch']
        for found in cases[precision].values():
            for name in ('seconds', 'samples_per_second', 'ratio'):
                assert set(found[name]) == SPREAD
                assert found[name]['median'] > 0
        assert set(cases[precision]['ERM']['ratio'].values()) == {1.0}
    assert 'GPU' in cases['tf32']['not_run']
    for found in data_of(whole, 'step')['options'].values():
        assert found.get('not_run') or set(found) == {'plain', 'option'}


def test_trace(whole):
    case, = data_of(whole, 'trace')['cases'].values()
    trace = whole[0] / case['trace']
    assert trace.stat().st_size > 1000
    assert {'trunk', 'pass 1', 'pass 2', 'teacher', 'backward', 'optimizer',
            'average'} <= set(case['phases'])
    assert all(ms > 0 for ms in case['phases'].values())
    assert case['top'] and case['busy_share'] is None


def test_loader(whole):
    case, = data_of(whole, 'loader')['cases'].values()
    assert case['steps'] == 2
    assert 0 < case['data_time_share'] < 1


def test_checks(whole):
    found = data_of(whole, 'checks')
    for name, check in found.items():
        expected = 'not run' if name in NEED_A_GPU else 'pass'
        assert check['status'] == expected, check
        assert check['claim'] and (check.get('reason')
                                   or check.get('evidence'))
    assert NEED_A_GPU < set(found)


@pytest.mark.parametrize('way', [(), ('--in-process', )],
                         ids=['in children', 'in one process'])
def test_a_section_that_fails_is_recorded(way, tmp_path):
    done, results = run(tmp_path, '--sections', 'trace', 'environment', *way,
                        BREAK_GPU_SECTION='trace')
    assert done.returncode == 1
    broken = results['sections']['trace']
    assert broken['status'] == 'failed' and broken['data'] == {}
    assert broken['error'] == "RuntimeError('BREAK_GPU_SECTION=trace')"
    assert 'Traceback' in broken['traceback']
    assert results['sections']['environment']['status'] == 'ok'
    assert not list(tmp_path.glob('*.part.json'))


def test_a_section_is_stopped_at_its_limit(tmp_path):
    done, results = run(tmp_path, '--sections', 'environment', '--limit',
                        '0.001')
    found = results['sections']['environment']
    assert found['status'] == 'out of time' and 'limit' in found['error']
    assert done.returncode == 0 and 'out of time' in done.stdout


def test_without_a_gpu_it_says_so(tmp_path):
    done, results = run(tmp_path, '--device', 'cuda',
                        CUDA_VISIBLE_DEVICES='')
    assert done.returncode == 1 and results is None
    assert 'expected a GPU' in done.stderr
    assert '--device cpu --tiny' in done.stderr
