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
    """A mistyped number shows: the paper prints the averages too.

    It rounds them without an exception.
    """
    scores = dict(TABLES[kind].scores[key])
    average = scores.pop(AVERAGE)
    assert len(scores) == (6 if kind == 'single_source' else 3)
    mean = sum(score.mean for score in scores.values()) / len(scores)
    assert abs(mean - average.mean) < .0051
    assert average.std is None
    assert all(0 < score.std < 8 for score in scores.values())


def test_all_of_the_five_tables_is_there():
    assert {kind: (table.number, len(table.scores))
            for kind, table in TABLES.items()} == {
        'multi_source': (1, 48), 'single_source': (2, 12),
        'in_domain': (3, 4), 'ablation': (4, 6), 'dropout': (5, 3)}
    assert [list(table.modalities) for table in TABLES.values()] == [
        ['epic', 'hac'], ['epic', 'hac'], ['epic'], ['epic'], ['hac']]
    for dataset in ('epic', 'hac'):
        assert TABLES['multi_source'].modalities[dataset] == (
            ('video', 'audio'), ('video', 'flow'), ('flow', 'audio'),
            ('video', 'flow', 'audio'))


@pytest.mark.parametrize('kind, dataset, variant', [
    ('ablation', 'epic', 'erm'), ('ablation', 'epic', 'mbcd'),
    ('dropout', 'hac', 'mbcd')])
def test_rows_that_stand_in_two_tables_agree(kind, dataset, variant):
    """None, all and adaptive: targets, deviations and average."""
    key = (dataset, AF, variant, '')
    assert TABLES[kind].scores[key] == TABLES['multi_source'].scores[key]


def test_rows_of_the_small_tables():
    def means(kind, dataset, modalities, method, variant=''):
        scores = TABLES[kind].scores[dataset, modalities, method, variant]
        return [(score.mean, score.std) for score in scores.values()]

    assert means('in_domain', 'epic', VAF, 'mbcd') == [
        (84.76, .27), (80.20, .35), (79.83, .25), (81.60, None)]
    assert means('ablation', 'epic', AF, 'mbcd', 'ema-gcc') == [
        (58.46, 1.08), (67.27, .61), (61.10, .32), (62.28, None)]
    assert means('dropout', 'hac', AF, 'mbcd', 'no-dropout') == [
        (62.82, 1.77), (64.24, 1.26), (45.22, .67), (57.43, None)]
    assert [key[2:] for key in TABLES['ablation'].scores] == [
        ('erm', ''), ('ema', ''), ('mbcd', 'ema-amd'), ('mbcd', 'ema-gcc'),
        ('mbcd', 'ema-dl'), ('mbcd', '')]


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
    assert (float(value), float(average)) == (scores[column].mean,
                                              scores[AVERAGE].mean)


def test_which_configs_quote_them():
    """All of each method that the paper ran; of EMA it has the ablation."""
    quoting = [path.split('/')[0] for path in EXPERIMENTS
               if 'Paper, Table' in first_lines(path)]
    assert {name: quoting.count(name) for name in quoting} == {
        'erm': 18, 'rna_net': 18, 'simmmdg': 18, 'moosa': 18, 'cmrf': 18,
        'mbcd': 18, 'mbcd_released': 6}


@pytest.mark.parametrize('target', DOMAINS['epic'])
def test_configs_quote_the_ablation(target):
    text = first_lines(f'ema/epic_{target.lower()}.py')
    value, = re.findall(r'Table 4, flow and audio: ([\d.]+)\)', text)
    scores = TABLES['ablation'].scores['epic', AF, 'ema', '']
    assert float(value) == scores[target].mean


def test_numbers_and_their_text():
    score = TABLES['multi_source'].score
    assert str(score('epic', ('audio', 'video'), 'erm', '', 'D2')) == (
        '60.73 ± 1.69')
    assert str(score('hac', ('audio', 'video'), 'cmrf', '',
                     AVERAGE)) == '71.25'
    assert score('epic', ('audio', 'video'), 'ema', '', 'D1') is None
    assert score('mini', ('audio', 'video'), 'erm', '', AVERAGE) is None
    assert score('epic', ('audio', ), 'erm', '', AVERAGE) is None
