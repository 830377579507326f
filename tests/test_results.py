"""The published tables are what the recorded runs say."""
import json
from pathlib import Path

from mbcd_mmaction.analysis.tables import results_page

ROOT = Path(__file__).resolve().parents[1]
LINES = (ROOT / 'benchmarks/results/mini.jsonl').read_text().splitlines()
PAGE = (ROOT / 'docs/results_mini.md').read_text()
METHODS = {'erm': 'ERM', 'ema': 'EMA', 'mbcd': 'MBCD'}


def test_every_run_is_there_once():
    cells = [(r['method'], r['target'], r['seed'])
             for r in map(json.loads, LINES)]
    assert sorted(cells) == sorted(
        (m, t, s) for m in METHODS for t in ('D1', 'D2', 'D3')
        for s in (0, 1, 2))


def test_page_is_made_of_the_runs():
    assert PAGE == results_page([json.loads(line) for line in LINES],
                                METHODS, 'python benchmarks/mini.py --jobs 2')


def test_readme_quotes_the_page():
    readme = (ROOT / 'README.md').read_text()
    section = readme[readme.index('## Results'):readme.index('## Citation')]
    quoted = [x for x in section.splitlines() if x.startswith('|')]
    assert len(quoted) == 5
    assert all(line in PAGE.splitlines() for line in quoted)
