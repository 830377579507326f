"""The loader's benchmark runs, and both loaders give the same shapes."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = ['EPIC-like clips', 'EPIC-like clips, key frame every 16',
         'EPIC-like jpg frames', 'HAC-like clips']


def test_it_measures_each_modality_of_each_set(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / 'benchmarks/loader.py'), '--root',
         str(tmp_path), '--clips', '1', '--rounds', '1'],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()[1:]
    assert [line for line in lines if not line.startswith(' ')] == CASES
    rows = [re.split(r'  +', line.strip())[0] for line in lines
            if line.startswith(' ')]
    assert rows == ['video', 'flow', 'audio', 'whole sample'] * len(CASES)
