"""The paper's numbers agree with each other and with the configs."""
import re

import pytest
from shipped import DOMAINS, EXPERIMENTS, ROOT, parse

from mbcd_mmaction.analysis.published import AVERAGE, TABLES

ENTRIES = [(kind, key) for kind, table in TABLES.items()
           for key in table.scores]
VAF = frozenset(['video', 'flow', 'audio'])
AF = frozenset(['flow', 'audio'])


@pytest.mark.parametrize('kind, key', ENTRIES)
def test_averages_are_those_of_the_columns(kind, key):
    """A mistyped number shows: the paper prints the averages too."""
    scores = dict(TABLES[kind].scores[key])
    average = scores.pop(AVERAGE)
    assert 20 < average < 90
    if scores:
        assert len(scores) == (6 if kind == 'single_source' else 3)
        assert abs(sum(scores.values()) / len(scores) - average) < .0051


def test_how_much_is_known():
    assert [len(table.scores) for table in TABLES.values()] == [
        48, 12, 6, 3, 4]
    whole = [entry for entry in ENTRIES
             if len(TABLES[entry[0]].scores[entry[1]]) > 1]
    # three modalities of all methods, all sets of MBCD, the ablation's EMA
    assert len(whole) == 12 + 6 + 12 + 1
    assert [table.number for table in TABLES.values()] == [1, 2, 4, None,
                                                           None]


def test_rows_that_stand_in_two_tables_agree():
    score = {kind: table.scores for kind, table in TABLES.items()}
    for method in ('erm', 'mbcd'):
        key = ('epic', AF, method, '')
        assert score['ablation'][key][AVERAGE] == (
            score['multi_source'][key][AVERAGE])
    key = ('hac', AF, 'mbcd', '')
    assert score['dropout'][key][AVERAGE] == (
        score['multi_source'][key][AVERAGE])


@pytest.mark.parametrize('table', TABLES.values(), ids=list(TABLES))
def test_keys_are_of_the_sets_and_modalities_it_names(table):
    for dataset, modalities, _, _ in table.scores:
        assert modalities in {frozenset(m)
                              for m in table.modalities[dataset]}


def first_lines(path):
    text = (ROOT / 'configs' / path).read_text()
    return ' '.join(re.match(r'"""(.*?)"""', text, re.S).group(1).split())


@pytest.mark.parametrize('path', [
    path for path in EXPERIMENTS
    if re.search('Paper, Table', first_lines(path))])
def test_configs_quote_them(path):
    method, dataset, sources, target = parse(path)
    kind = 'single_source' if '_to_' in path else 'multi_source'
    column = f'{min(sources)} → {target}' if '_to_' in path else target
    number, value, average = re.search(
        r'Paper, Table (\d): ([\d.]+) top-1 .* average ([\d.]+)\.$',
        first_lines(path)).groups()
    scores = TABLES[kind].scores[
        dataset, VAF, method.removesuffix('_released'), '']
    assert int(number) == TABLES[kind].number
    assert (float(value), float(average)) == (scores[column],
                                              scores[AVERAGE])


def test_many_configs_quote_them():
    quoting = [path for path in EXPERIMENTS
               if 'Paper, Table' in first_lines(path)]
    assert len(quoting) == 6 * 18 + 6


@pytest.mark.parametrize('target', DOMAINS['epic'])
def test_configs_quote_the_ablation(target):
    text = first_lines(f'ema/epic_{target.lower()}.py')
    value, = re.findall(r'Table 4, flow and audio: ([\d.]+)\)', text)
    scores = TABLES['ablation'].scores['epic', AF, 'ema', '']
    assert float(value) == scores[target]


def test_an_unknown_number_is_none():
    table = TABLES['multi_source']
    assert table.score('epic', ('audio', 'video'), 'erm', '',
                       AVERAGE) == 56.90
    assert table.score('epic', ('audio', 'video'), 'erm', '', 'D1') is None
    assert table.score('mini', ('audio', 'video'), 'erm', '',
                       AVERAGE) is None
    assert table.score('epic', ('audio', ), 'erm', '', AVERAGE) is None
