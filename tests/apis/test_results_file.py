"""The file of records, torn and shared."""
import json
import multiprocessing

import pytest

from mbcd_mmaction.apis.results import (
    append_record,
    identity,
    latest,
    read_records,
)


def record(seed=0, **changes):
    return dict(dict(
        dataset='mini', method='erm', variant='', modalities=['a', 'b'],
        sources=['D1', 'D2'], target='D3', seed=seed, fingerprint='f'),
        **changes)


def test_appended_once_and_read_back(tmp_path):
    path = tmp_path / 'new/results.jsonl'
    assert read_records(path) == []
    assert append_record(path, record(0))
    assert append_record(path, record(1))
    assert not append_record(path, record(0))
    assert append_record(path, record(0, fingerprint='g'))
    assert append_record(path, record(0))  # it is not the last of its own
    assert not append_record(path, record(0))
    assert len(path.read_text().splitlines()) == 4
    assert [r['seed'] for r in read_records(path)] == [0, 1, 0, 0]
    found = latest(read_records(path)[:3])
    assert [r['fingerprint'] for r in found.values()] == ['f', 'g']


def test_identity_is_of_sets():
    one = record(sources=['D1', 'D2'], modalities=['a', 'b'])
    assert identity(one) == identity(
        record(sources=['D2', 'D1'], modalities=['b', 'a'], config='x'))
    for changes in (dict(seed=1), dict(variant='v'), dict(sources=['D1']),
                    dict(target='D1'), dict(method='mbcd')):
        assert identity(one) != identity(record(**changes))


def test_a_torn_last_line(tmp_path):
    path = tmp_path / 'results.jsonl'
    append_record(path, record(0))
    whole = path.read_text()
    path.write_text(whole + '{"dataset": "mi')
    with pytest.warns(UserWarning, match='the last line is torn'):
        assert len(read_records(path)) == 1
    append_record(path, record(1))
    assert path.read_text() == whole + json.dumps(record(1)) + '\n'


def test_a_last_line_without_its_break_is_kept(tmp_path):
    path = tmp_path / 'results.jsonl'
    path.write_text(json.dumps(record(0)))
    append_record(path, record(1))
    assert [r['seed'] for r in read_records(path)] == [0, 1]


@pytest.mark.parametrize('line', ['{"dataset', '{"dataset": "mini"}', '[]'])
def test_another_bad_line_is_an_error(tmp_path, line):
    path = tmp_path / 'results.jsonl'
    path.write_text(line + '\n' + json.dumps(record(0)) + '\n')
    with pytest.raises(ValueError, match=r'results.jsonl, line 1: expected'):
        read_records(path)


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
    assert sorted(r['seed'] for r in read_records(path)) == list(range(200))
