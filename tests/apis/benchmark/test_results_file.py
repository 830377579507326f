"""The file of records, torn and shared."""
import json
import multiprocessing

import pytest

from mbcd_mmaction.analysis.records import identity, read_records
from mbcd_mmaction.apis.benchmark.results import append_record, finished

SCORES = {'acc/top1': .5}


def record(seed=0, **changes):
    return dict(dict(
        dataset='mini', method='erm', variant='', modalities=['a', 'b'],
        sources=['D1', 'D2'], target='D3', seed=seed, fingerprint='f',
        source_metrics=SCORES, target_metrics=SCORES), **changes)


def seeds(path):
    return [run.seed for run in read_records([path]).runs]


def test_appended_and_read_back(tmp_path):
    path = tmp_path / 'new/results.jsonl'
    assert finished(path) == {}
    append_record(path, record(0))
    append_record(path, record(1))
    append_record(path, record(0, fingerprint='g'))
    append_record(path, record(2, error='why'))
    assert [json.loads(line)['seed'] for line in
            path.read_text().splitlines()] == [0, 1, 0, 2]
    assert finished(path) == {identity(record(0)): 'g',
                              identity(record(1)): 'f'}


def test_a_torn_last_line(tmp_path):
    path = tmp_path / 'results.jsonl'
    append_record(path, record(0))
    whole = path.read_text()
    path.write_text(whole + '{"dataset": "mi')
    with pytest.warns(UserWarning, match='line 2: the last line is torn'):
        assert len(finished(path)) == 1
    append_record(path, record(1))
    assert path.read_text() == whole + json.dumps(record(1)) + '\n'


def test_a_last_line_without_its_break_is_kept(tmp_path):
    path = tmp_path / 'results.jsonl'
    path.write_text(json.dumps(record(0)))
    append_record(path, record(1))
    assert seeds(path) == [0, 1]


def append_many(path, start):
    for seed in range(start, start + 50):
        append_record(path, record(seed, text='x' * 5000))


def test_processes_share_a_file(tmp_path):
    path = tmp_path / 'results.jsonl'
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=append_many, args=(path, 50 * i))
               for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seeds(path) == list(range(200))
