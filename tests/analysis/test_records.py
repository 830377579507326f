"""Files of records are read, checked and brought into one order."""
import json

import pytest
from run_records import failure, record, write

from mbcd_mmaction.analysis.records import read_records


def test_fields(tmp_path):
    line = record('mini', 'mbcd', 'D2', 1, 'ema-dl', ('flow', 'audio'),
                  top1=.5)
    path = write(tmp_path / 'r.jsonl', [line])
    records = read_records([path])
    run, = records.runs
    assert (run.dataset, run.method, run.variant) == ('mini', 'mbcd',
                                                      'ema-dl')
    assert run.modalities == ('flow', 'audio')
    assert run.sources == ('D1', 'D3')
    assert (run.target, run.seed, run.error) == ('D2', 1, None)
    assert run.target_metrics['acc/top1'] == .5
    assert run.commit == 'c0ffee0'
    assert run.versions['torch'] == '2.13.0'
    assert run.hours == {'train': .05, 'test': .01}
    assert run.place == f'{path}, line 1'
    assert records.files == (str(path), )
    assert (records.failed, records.superseded, records.torn) == ((), 0, ())


def test_later_lines_and_files_supersede(tmp_path):
    first = write(tmp_path / 'a.jsonl', [
        record(top1=.1), record(top1=.2, sources=['D3', 'D2']),
        record(seed=1, top1=.3), failure(seed=2)])
    second = write(tmp_path / 'b.jsonl', [
        failure(seed=1), record(seed=2, top1=.4)])
    records = read_records([first, second])
    assert [(run.seed, run.target_metrics['acc/top1'])
            for run in records.runs] == [(0, .2), (2, .4)]
    failed, = records.failed
    assert (failed.seed, failed.error) == (1, 'RuntimeError: out of luck')
    assert records.superseded == 3
    # in the other order the first file has the last word
    back = read_records([second, first])
    assert [run.seed for run in back.runs] == [0, 1]
    assert [run.seed for run in back.failed] == [2]


def test_order_is_of_the_runs_not_of_the_lines(tmp_path):
    lines = [record(method=method, target=target, seed=seed)
             for seed in (1, 0) for target in ('D3', 'D1')
             for method in ('mbcd', 'erm')]
    ways = [read_records([write(tmp_path / 'r.jsonl', part)]).runs
            for part in (lines, lines[::-1])]
    keys = [[run.identity for run in runs] for runs in ways]
    assert keys[0] == keys[1] == sorted(keys[0])
    assert len(set(keys[0])) == 8


def test_a_torn_last_line_is_an_unfinished_run(tmp_path):
    path = write(tmp_path / 'r.jsonl', [record()])
    whole = path.read_text()
    path.write_text(whole + whole[:100])
    records = read_records([path])
    assert len(records.runs) == 1
    assert records.torn == (f'{path}, line 2', )
    # whole, but without its newline: a run like any other
    path.write_text(whole + json.dumps(record(seed=1)))
    records = read_records([path])
    assert (len(records.runs), records.torn) == (2, ())


def test_a_torn_line_elsewhere_is_an_error(tmp_path):
    path = write(tmp_path / 'r.jsonl', [record()])
    whole = path.read_text()
    for text in (whole[:50] + '\n' + whole, whole + whole[:50] + '\n'):
        path.write_text(text)
        with pytest.raises(ValueError, match='r.jsonl, line [12]: expected '
                                             'a record in JSON'):
            read_records([path])


@pytest.mark.parametrize('change, message', [
    (dict(dataset=3), 'dataset: a text, got 3'),
    (dict(modalities=[]), 'modalities: a list of different names'),
    (dict(sources='D2'), "sources: a list of different names, got 'D2'"),
    (dict(modalities=['audio', 'audio']), 'different names'),
    (dict(seed='0'), "seed: an integer, got '0'"),
    (dict(seed=True), 'seed: an integer, got True'),
    (dict(error=None), 'error: a text, got None'),
    (dict(source_metrics={}), 'source_metrics: an object with acc/top1'),
    (dict(target_metrics={'acc/top1': 62.5}),
     r'target_metrics: acc/top1 in \[0, 1\], got 62.5'),
    (dict(target_metrics={'acc/top1': .5, 'acc/audio/top1': float('nan')}),
     r'acc/audio/top1 in \[0, 1\], got nan'),
])
def test_a_wrong_field_names_file_and_line(tmp_path, change, message):
    path = write(tmp_path / 'r.jsonl', [record(seed=5), {**record(),
                                                         **change}])
    with pytest.raises(ValueError, match=message) as caught:
        read_records([path])
    assert str(caught.value).startswith(f'{path}, line 2: expected ')


@pytest.mark.parametrize('name', ['modalities', 'sources', 'target_metrics'])
def test_an_absent_field_is_named(tmp_path, name):
    line = record()
    del line[name]
    path = write(tmp_path / 'r.jsonl', [line])
    with pytest.raises(ValueError, match=rf"none named \['{name}'\]"):
        read_records([path])


def test_provenance_may_be_absent(tmp_path):
    line = record(commit=None)
    for name in ('versions', 'hours', 'config', 'options', 'fingerprint'):
        del line[name]
    run, = read_records([write(tmp_path / 'r.jsonl', [line])]).runs
    assert (run.commit, run.versions, run.hours) == (None, {}, {})


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_records([tmp_path / 'none.jsonl'])
