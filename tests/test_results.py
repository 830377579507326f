"""The published tables are what the recorded runs say."""
import json
from pathlib import Path

from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report.write import write_report
from mbcd_mmaction.apis.benchmark.campaign import missing
from mbcd_mmaction.apis.benchmark.protocol import read_protocol

ROOT = Path(__file__).resolve().parents[1]
RESULTS = 'benchmarks/results/results.jsonl'
PAGE = 'docs/results_mini.md'
COMMAND = (f'python tools/report.py {RESULTS} --out work_dirs/report '
           f'--dataset mini --page {PAGE}')
PROTOCOLS = ('mini', 'mini_ablation', 'mini_dropout')
README = ' '.join((ROOT / 'README.md').read_text().split())
RECORDS = [json.loads(line) for line in
           (ROOT / RESULTS).read_text().splitlines()]


def test_the_runs_are_of_the_present_configs():
    """All of the three protocols, and nothing else."""
    experiments = list(dict.fromkeys(
        experiment for name in PROTOCOLS for experiment in read_protocol(
            ROOT / f'benchmarks/protocols/{name}.yaml', ROOT)))
    assert missing(experiments, ROOT, ROOT / RESULTS) == []
    assert len(RECORDS) == len(experiments)
    assert f'All {len(experiments)} runs are recorded' in README


def test_readme_tells_how_long_they_took():
    hours = sum(sum(record['hours'].values()) for record in RECORDS)
    assert {record['threads'] for record in RECORDS} == {1}
    assert f'{hours / 2:.1f} hours, two at a time' in README


def test_records_name_no_machine():
    for record in RECORDS:
        assert '/' not in json.dumps(
            {**record, 'config': '', 'source_metrics': '',
             'target_metrics': ''})
        assert not record['commit'].endswith('-dirty')


def test_page_is_made_of_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = tmp_path / 'page.md'
    write_report(read_records([RESULTS]), tmp_path, COMMAND, ['mini'],
                 page=page)
    assert page.read_text() == (ROOT / PAGE).read_text()


def test_readme_quotes_the_page():
    readme = (ROOT / 'README.md').read_text()
    section = readme[readme.index('## Results'):readme.index('## Citation')]
    quoted = [x for x in section.splitlines() if x.startswith('|')]
    page = (ROOT / PAGE).read_text().splitlines()
    assert len(quoted) == 9
    assert all(line in page for line in quoted)
