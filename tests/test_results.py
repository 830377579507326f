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
RECORDS = [json.loads(line) for line in
           (ROOT / RESULTS).read_text().splitlines()]


def test_every_run_is_there_once():
    cells = [(r['method'], r['target'], r['seed']) for r in RECORDS]
    assert sorted(cells) == sorted(
        (m, t, s) for m in ('erm', 'ema', 'mbcd') for t in ('D1', 'D2', 'D3')
        for s in (0, 1, 2))


def test_what_is_carried_over_counts_as_not_run():
    """The runs of 175ee5a are of other configs: they are to be made again."""
    assert all(r['commit'].startswith('175ee5a') and 'fingerprint' not in r
               for r in RECORDS)
    experiments = read_protocol(ROOT / 'benchmarks/protocols/mini.yaml', ROOT)
    assert missing(experiments, ROOT, ROOT / RESULTS) == experiments


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
    assert len(quoted) == 5
    assert all(line in page for line in quoted)
