"""The step's benchmark on tiny networks: what it prints and writes."""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ['erm', 'erm-frozen', 'frozen', 'batch', 'released']
EVERY_STEP = {'trunk', 'pass 1', 'pass 2', 'backward', 'optimizer'}


def run(place, *arguments):
    """Printed lines, and the JSON."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(ROOT / 'benchmarks/step.py'),
         '--network', 'tiny', '--size', '32', '--batch', '1', '--modalities',
         'flow+audio', '--out', str(place / 'step.json'), *arguments],
        capture_output=True, text=True, cwd=place,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    return done, (json.loads((place / 'step.json').read_text())
                  if done.returncode == 0 else None)


def test_it_times_each_phase_of_each_variant(tmp_path):
    done, report = run(tmp_path, '--rounds', '1')
    assert done.returncode == 0, done.stderr[-3000:]
    found = report['sets']['flow+audio']
    for table in ('seconds', 'flops', 'live_bytes'):
        columns = {k: v for k, v in found[table].items()
                   if not k.endswith('-late')}
        assert list(columns) == VARIANTS
        assert all(EVERY_STEP <= set(phases) for phases in columns.values())
        assert all(('average' in columns[v]) == ('erm' not in v)
                   for v in VARIANTS)
    for base in ('erm', 'released'):
        assert found['ratios'][base][base] == [1, 1, 1]
        low, middle, high = found['ratios'][base]['frozen']
        assert low <= middle <= high
    rows = {line[:20].strip(): line[20:].split()
            for line in done.stdout.splitlines()}
    assert rows['Adam'] == ['fused'] * 4 + ['default']
    assert rows['trunk passes'][-1] == '3'
    shares = rows['average, % of step']
    assert shares[:2] == ['-', '-'] and all(float(s) > 0 for s in shares[2:])


def test_a_wrong_size_is_refused(tmp_path):
    done, _ = run(tmp_path, '--size', '16')
    assert done.returncode == 2
    assert '--size >= 32' in done.stderr
