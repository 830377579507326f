import os
import pickle
import sys
from collections import Counter
from pathlib import Path

import pytest
import real_annotations
import tiny_media

from mbcd_mmaction.datasets import read_annotations
from mbcd_mmaction.datasets.annotations import seconds

COUNTS = {
    'D1_train': [421, 383, 231, 128, 223, 71, 42, 44],
    'D1_test': [124, 104, 52, 34, 66, 13, 20, 22],
    'D2_train': [715, 692, 245, 214, 298, 89, 113, 129],
    'D2_test': [208, 217, 68, 56, 136, 14, 26, 25],
    'D3_train': [919, 1121, 450, 367, 808, 110, 53, 69],
    'D3_test': [241, 280, 102, 71, 245, 29, 1, 5],
}


class Runs:
    """Runs a function when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@real_annotations.needs(real_annotations.EPIC)
@pytest.mark.parametrize('name', COUNTS)
def test_class_counts_of_the_real_files(name):
    pytest.importorskip('pandas')
    rows = read_annotations(str(real_annotations.EPIC / f'{name}.pkl'))
    counts = Counter(row['verb_class'] for row in rows)
    assert [counts[label] for label in range(8)] == COUNTS[name]
    assert len(rows) == sum(COUNTS[name])
    assert all(0 <= row['start_timestamp'] < row['stop_timestamp']
               for row in rows)
    # The two clocks of the file agree: 60 frames a second, to a frame.
    assert all(
        abs(row['start_frame'] - 60 * row['start_timestamp']) <= 1
        for row in rows)
    assert {type(v) for row in rows for v in row.values()} == {int, float, str}


@pytest.fixture
def table():
    return [
        tiny_media.row(start=0, stop=90, label=3),
        tiny_media.row('P01_02', 120, 240, 1,
                       stop_timestamp='01:02:03.50',
                       narration='cut, then "mix"\nmore')
    ]


def expect(rows):
    assert len(rows) == 2
    assert rows[0] == dict(
        uid=0, participant_id='P01', video_id='P01_01',
        narration='take cup, put it', start_timestamp=0.0, stop_timestamp=1.5,
        start_frame=0, stop_frame=90, verb='take', verb_class=3)
    assert rows[1]['stop_timestamp'] == 3723.5
    assert rows[1]['narration'] == 'cut, then "mix"\nmore'


@pytest.mark.parametrize('protocol', [2, 4, 5])
@pytest.mark.parametrize('kind', [object, None])
def test_pickle_of_any_protocol_and_text_type(tmp_path, table, protocol, kind):
    pandas = pytest.importorskip('pandas')
    frame = pandas.DataFrame(table)
    if kind is object:
        frame = frame.astype({
            name: object
            for name in frame if not pandas.api.types.is_numeric_dtype(
                frame[name])
        })
    path = tmp_path / 'D1_train.pkl'
    frame.to_pickle(path, protocol=protocol)
    expect(read_annotations(str(path)))


def test_pickle_of_some_rows_of_a_table(tmp_path, table):
    pandas = pytest.importorskip('pandas')
    frame = pandas.DataFrame([table[0], *table])
    path = tmp_path / 'D1_train.pkl'
    frame[[False, True, True]].to_pickle(path)
    expect(read_annotations(str(path)))


def test_csv(tmp_path, table):
    path = tmp_path / 'D1_train.csv'
    tiny_media.write_annotations(path, table)
    expect(read_annotations(str(path)))
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())  # as Excel writes
    expect(read_annotations(str(path)))


@pytest.mark.parametrize('payload, named', [
    (Runs(os.system, 'touch pwned'), r'(posix|nt)\.system'),
    (Runs(eval, '1'), r'builtins\.eval'),
    (Runs(getattr, 'a', 'upper'), r'builtins\.getattr'),
    (Counter('abc'), r'collections\.Counter'),
])
def test_pickle_with_anything_else_is_refused_by_name(tmp_path, monkeypatch,
                                                      payload, named):
    pytest.importorskip('pandas')
    monkeypatch.chdir(tmp_path)
    Path('D1_train.pkl').write_bytes(pickle.dumps([payload]))
    with pytest.raises(pickle.UnpicklingError, match=f'refused {named}'):
        read_annotations('D1_train.pkl')
    assert not Path('pwned').exists()


@pytest.mark.parametrize('code, message', [
    # A dotted name walks from an allowed module to another one.
    (b'\x80\x04\x8c\x06pandas\x8c\x13io.common.os.getcwd\x93.', 'refused'),
    # State given to a library's class would change it for everybody.
    (b'\x80\x02cpandas\nDataFrame\nN}U\x04evilNs\x86b.', 'refused to change'),
    (b'\x80\x02cpandas\nDataFrame\n', 'damaged'),
    (b'', 'damaged'),
])
def test_crafted_and_damaged_pickles(tmp_path, code, message):
    pandas = pytest.importorskip('pandas')
    path = tmp_path / 'D1_train.pkl'
    path.write_bytes(code)
    with pytest.raises(pickle.UnpicklingError, match=message):
        read_annotations(str(path))
    assert not hasattr(pandas.DataFrame, 'evil')


def test_pickle_of_another_thing(tmp_path):
    pytest.importorskip('pandas')
    path = tmp_path / 'D1_train.pkl'
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match='DataFrame, got list'):
        read_annotations(str(path))


def test_pickle_without_pandas(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pandas', None)
    path = tmp_path / 'D1_train.pkl'
    path.touch()
    with pytest.raises(ImportError, match='pip install pandas'):
        read_annotations(str(path))


def test_bad_files(tmp_path, table):
    with pytest.raises(FileNotFoundError, match='none.csv'):
        read_annotations(str(tmp_path / 'none.csv'))
    other = tmp_path / 'D1_train.json'
    other.touch()
    with pytest.raises(ValueError, match='expected a .pkl or .csv'):
        read_annotations(str(other))
    lacking = tmp_path / 'lacking.csv'
    lacking.write_text('video_id,verb_class\nP01_01,2\n')
    with pytest.raises(ValueError, match="row 0 lacks .*'start_timestamp'"):
        read_annotations(str(lacking))
    latin = tmp_path / 'latin.csv'
    latin.write_bytes(b'video_id,narration\nP01_01,\xe9clair\n')
    with pytest.raises(ValueError, match=f'{latin}, line 2: expected UTF-8, '
                       'got the byte 0xe9 at position 26'):
        read_annotations(str(latin))
    cut = tmp_path / 'cut.csv'
    cut.write_text('video_id,narration\nP01_01,"take a cup\nP01_01,put\n')
    with pytest.raises(ValueError, match=f'{cut}, line 2: no CSV'):
        read_annotations(str(cut))
    blank = tmp_path / 'blank.csv'
    tiny_media.write_annotations(blank, [table[0], dict(table[1],
                                                        video_id=' ')])
    with pytest.raises(ValueError, match='row 1: video_id is blank'):
        read_annotations(str(blank))
    for column, value in (('start_timestamp', 'soon'), ('verb_class', 'cut'),
                          ('stop_timestamp', 'nan'), ('start_frame', '')):
        path = tmp_path / 'bad.csv'
        tiny_media.write_annotations(path,
                                     [table[0], {**table[1], column: value}])
        with pytest.raises(ValueError, match=f'row 1, column {column!r}'):
            read_annotations(str(path))


@pytest.mark.parametrize('text, value', [('00:00:02.61', 2.61), ('1:30', 90.),
                                         ('01:00:00', 3600.), (7, 7.),
                                         (2.5, 2.5), (' 3.5 ', 3.5)])
def test_seconds(text, value):
    assert seconds(text) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize('text', ['', 'a', '-1', 'nan', 'inf', None, '1:b',
                                  '1:-5', '-0:30'])
def test_seconds_of_what_is_no_time(text):
    with pytest.raises(ValueError):
        seconds(text)
