"""Which tables there are, and what their numbers are."""
import csv
import io
from dataclasses import replace
from statistics import mean, stdev

import pytest
from run_records import (
    ALL,
    DOMAINS,
    METHODS,
    PAIR,
    accuracy,
    failure,
    mini_set,
    record,
    single,
    variants,
    whole,
    write,
)

from mbcd_mmaction.analysis.published import AVERAGE
from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report.cells import result_table, score_text
from mbcd_mmaction.analysis.report.csv_files import outputs_csv, scores_csv
from mbcd_mmaction.analysis.report.gaps import (
    failed_runs,
    missing_cells,
    outside_runs,
)
from mbcd_mmaction.analysis.report.grid import grid_of
from mbcd_mmaction.analysis.report.layout import layouts_of
from mbcd_mmaction.analysis.report.significance import compare


@pytest.fixture
def tables(tmp_path):
    """Records' layouts by name, and their runs by identity."""

    def make(lines, datasets=None):
        records = read_records([write(tmp_path / 'r.jsonl', lines)])
        layouts = {layout.name: layout
                   for layout in layouts_of(records, datasets)}
        return layouts, {run.identity: run for run in records.runs}, records

    return make


def row_of(layout, label):
    row, = [row for row in layout.rows if row.label == label]
    return row


def lines_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_tables_of_the_paper_are_always_there(tables):
    layouts, _, _ = tables([record('mini')])
    assert list(layouts) == [
        'multi_source_epic', 'single_source_epic', 'in_domain_epic',
        'ablation_epic', 'multi_source_hac', 'single_source_hac',
        'dropout_hac', 'multi_source_mini', 'in_domain_mini']
    epic = layouts['multi_source_epic']
    assert [group.title for group in epic.groups] == [
        'video + audio', 'video + flow', 'flow + audio',
        'video + flow + audio']
    assert [row.method for row in epic.rows] == [
        method for method in METHODS if method != 'ema']  # not in the paper
    assert epic.reference.method == 'erm'
    assert [row.label for row in layouts['in_domain_epic'].rows] == [
        'SimMMDG', 'MOOSA', 'CMRF', 'MBCD']
    single_source, = layouts['single_source_hac'].groups
    assert [split.title for split in single_source.splits] == [
        'human → animal', 'human → cartoon', 'animal → human',
        'animal → cartoon', 'cartoon → human', 'cartoon → animal']
    assert [row.method for row in layouts['multi_source_mini'].rows
            ] == list(METHODS)


def test_a_method_that_the_paper_lacks_has_a_row_where_it_ran(tables):
    layouts, _, _ = tables([record('epic', 'ema', seed=7)])
    epic = layouts['multi_source_epic']
    assert [row.method for row in epic.rows] == list(METHODS)
    assert epic.seeds == (7, )


def test_the_mini_set_has_its_own_tables(tables):
    layouts, runs, records = tables(mini_set(), ['mini'])
    assert list(layouts) == ['multi_source_mini', 'in_domain_mini',
                             'ablation_mini', 'dropout_mini']
    # flow and audio is shown whole by the ablation
    for name in ('multi_source_mini', 'in_domain_mini'):
        assert [group.title for group in layouts[name].groups] == [
            'video + flow + audio']
    assert [group.title for group in layouts['ablation_mini'].groups
            ] == ['flow + audio']
    assert [row.label for row in layouts['ablation_mini'].rows] == [
        'none (ERM)', 'EMA', 'EMA + AMD', 'EMA + GCC', 'EMA + DL',
        'all (MBCD)']
    assert not outside_runs(list(layouts.values()), records.runs)
    # one run that the ablation has no place for, and the group is back
    layouts, _, _ = tables([*mini_set(), record(
        'mini', 'cmrf', modalities=PAIR)], ['mini'])
    assert [group.title for group in layouts['multi_source_mini'].groups
            ] == ['flow + audio', 'video + flow + audio']


def test_a_set_of_ones_own(tables):
    lines = [record('own', method, target, sources=[
        name for name in ('home', 'office', 'street') if name != target],
        top1=.5, modalities=('depth', 'radar'))
        for method in ('erm', 'mbcd') for target in ('home', 'street')]
    for line in lines:
        line['dataset'] = 'kitchen'
    layouts, _, _ = tables(lines, ['kitchen'])
    layout = layouts['multi_source_kitchen']
    assert [row.label for row in layout.rows] == ['ERM', 'MBCD']
    group, = layout.groups
    assert [split.target for split in group.splits] == [
        'home', 'office', 'street']


@pytest.fixture(autouse=True)
def own_domains(monkeypatch):
    monkeypatch.setitem(DOMAINS, 'own', ('home', 'office', 'street'))


def test_an_unknown_set(tables):
    with pytest.raises(ValueError, match=r"got \['nano'\]"):
        tables([record('mini')], ['nano'])
    with pytest.raises(ValueError, match=r"\['epic', 'hac'\], got"):
        tables([record('epic')], ['mini'])


def test_averages_are_over_targets_then_over_seeds(tables):
    layouts, runs, _ = tables(whole('mini'))
    layout = layouts['multi_source_mini']
    grid = grid_of(layout, layout.groups[0], runs)
    row = row_of(layout, 'EMA')
    score = grid.score(row, 'D2')
    assert score.values == {
        seed: accuracy('ema', '', 1, seed) for seed in (0, 1, 2)}
    averages = [mean(accuracy('ema', '', place, seed)
                     for place in range(3)) for seed in (0, 1, 2)]
    found = grid.average(row)
    assert list(found.values.values()) == pytest.approx(averages, abs=1e-12)
    assert stdev(averages) > 0
    assert score_text(found) == (
        f'{100 * mean(averages):.1f} ± {100 * stdev(averages):.1f}')


def test_by_hand(tables):
    """(.5 + .6) / 2 and (.7 + .6 + .5) / 3; n - 1 below the deviation."""
    tops = {('D1', 0): .5, ('D1', 1): .6, ('D2', 0): .25, ('D2', 1): .5,
            ('D3', 0): .75, ('D3', 1): .7}
    layouts, runs, _ = tables([
        record('mini', 'mbcd', target, seed, top1=top1)
        for (target, seed), top1 in tops.items()])
    layout = layouts['multi_source_mini']
    row = result_table(layout, runs).rows[-1]
    # averages .5 and .6: mean .55, deviation .1 / sqrt(2)
    assert row == ('MBCD', '55.0 ± 7.1', '37.5 ± 17.7', '72.5 ± 3.5',
                   '55.0 ± 7.1')


def test_nothing_is_averaged_over_fewer(tables):
    lines = [line for line in whole('mini', ('erm', 'mbcd', 'cmrf'))
             if (line['method'], line['target'], line['seed']) not in {
                 ('mbcd', 'D2', 1), ('cmrf', 'D1', 0), ('cmrf', 'D1', 1),
                 ('cmrf', 'D1', 2)}]
    layouts, runs, _ = tables(lines)
    layout = layouts['multi_source_mini']
    grid = grid_of(layout, layout.groups[0], runs)
    mbcd, cmrf = row_of(layout, 'MBCD'), row_of(layout, 'CMRF')
    assert list(grid.score(mbcd, 'D2').values) == [0, 2]
    assert list(grid.average(mbcd).values) == [0, 2]
    assert not grid.average(cmrf)
    rows = {row[0]: row[1:] for row in result_table(layout, runs).rows}
    assert [text.endswith('(n=2)') for text in rows['MBCD']] == [
        False, True, False, True]
    assert rows['CMRF'][0] == rows['CMRF'][3] == 'missing'
    assert ' ± ' in rows['CMRF'][1]
    assert rows['EMA'] == ('missing', ) * 4
    assert not any('n=' in text for text in rows['ERM'])


def test_one_seed_has_no_deviation(tables):
    layouts, runs, _ = tables(whole('mini', ('erm', ), seeds=(4, )))
    layout = layouts['multi_source_mini']
    table = result_table(layout, runs)
    assert '±' not in ''.join(table.rows[0])
    assert table.caption.endswith('Seed 4.')


def test_published_numbers_stand_beside_ours(tables):
    layouts, runs, _ = tables(whole('epic', ('mbcd', )))
    table = result_table(layouts['multi_source_epic'], runs)
    assert table.heads[:4] == (('modalities', ''), ('method', ''),
                               ('D1', 'ours'), ('D1', 'paper'))
    assert len(table.heads) == 2 + 8
    rows = {row[:2]: row[2:] for row in table.rows}
    assert len(rows) == 4 * 6
    full = rows['video + flow + audio', 'MBCD']
    assert full[1::2] == ('63.63 ± 0.39', '73.18 ± 0.59', '65.92 ± 0.44',
                          '67.58')
    assert all('±' in text for text in full[::2])
    assert rows['video + flow', 'ERM'] == (
        'missing', '56.88 ± 0.26', 'missing', '65.74 ± 1.42', 'missing',
        '58.02 ± 1.32', 'missing', '60.21')
    assert "the paper's Table 1" in table.caption
    # EMA is not in the paper
    layouts, runs, _ = tables(whole('epic', ('ema', )))
    rows = {row[:2]: row[2:] for row in result_table(
        layouts['multi_source_epic'], runs).rows}
    assert rows['video + flow + audio', 'EMA'][1::2] == ('-', ) * 4


def test_plain_rows_of_a_published_ablation_count(tables):
    layouts, runs, _ = tables(whole('epic', ('erm', ), modalities=PAIR))
    table = result_table(layouts['ablation_epic'], runs)
    rows = {row[0]: row[1:] for row in table.rows}
    assert '±' in rows['none (ERM)'][-2] and rows['none (ERM)'][-1] == '56.47'
    assert rows['EMA + DL'][-2:] == ('missing', '62.52')


def test_seeds_are_those_of_the_table(tables):
    """A group that is left out has no say in what is expected."""
    lines = [*whole('mini'), *whole('mini', ('erm', ), (3, 4), PAIR),
             *variants('mini', ('ema-dl', ), (3, 4))]
    layouts, runs, _ = tables(lines)
    assert layouts['multi_source_mini'].seeds == (0, 1, 2)
    assert layouts['ablation_mini'].seeds == (3, 4)


def test_csv_holds_the_same_numbers(tables):
    lines = [line for line in [*whole('epic'), *whole('mini')]
             if line['method'] != 'moosa']
    layouts, runs, _ = tables(lines)
    for name in ('multi_source_epic', 'multi_source_mini'):
        layout = layouts[name]
        found = lines_of(scores_csv(layout, runs))
        assert len(found) == len(layout.groups) * 7 * 4
        for group in layout.groups:
            grid = grid_of(layout, group, runs)
            for row in layout.rows:
                cells = [line for line in found
                         if line['method'] == row.method
                         and line['modalities'] == '+'.join(
                             group.modalities)]
                for line in cells:
                    score = (grid.average(row) if line['target'] == AVERAGE
                             else grid.score(row, line['target']))
                    values = list(score.values.values())
                    assert int(line['seeds']) == len(values)
                    assert line['expected_seeds'] == '3'
                    if not values:
                        assert line['mean'] == line['std'] == ''
                        continue
                    assert float(line['mean']) == pytest.approx(
                        100 * mean(values), abs=1e-6)
                    assert float(line['std']) == pytest.approx(
                        100 * stdev(values), abs=1e-6)
    published = {
        line['target']: (line['published'], line['published_std'])
        for line in lines_of(scores_csv(layouts['multi_source_epic'], runs))
        if line['method'] == 'mbcd'
        and line['modalities'] == 'video+flow+audio'}
    assert published == {'D1': ('63.63', '0.39'), 'D2': ('73.18', '0.59'),
                         'D3': ('65.92', '0.44'), 'average': ('67.58', '')}


def test_csv_of_outputs(tables):
    layouts, runs, _ = tables(whole('mini', ('erm', 'mbcd')))
    layout = layouts['multi_source_mini']
    # in-domain is the same, and not there a second time
    found = lines_of(outputs_csv(
        [layout, layouts['in_domain_mini']], runs))
    assert len(found) == 2 * 4 * 7 * 4
    line, = [line for line in found if (
        line['metrics'], line['output'], line['method'], line['target']) == (
            'source', 'flow', 'mbcd', 'D3')]
    # what run_records makes of it: second modality, halfway to one
    expected = mean((1 + accuracy('mbcd', '', 2, seed) / 3) / 2
                    for seed in (0, 1, 2))
    assert float(line['mean']) == pytest.approx(100 * expected, abs=1e-6)
    assert line['sources'] == 'D1+D2'


def test_an_output_that_was_not_logged_is_missing(tables):
    lines = whole('mini', ('erm', 'mbcd'))
    for line in lines:
        if line['method'] == 'erm':
            del line['target_metrics']['acc/flow/top1']
    layouts, runs, _ = tables(lines)
    layout = layouts['multi_source_mini']
    grid = grid_of(layout, layout.groups[0], runs, output='flow')
    assert not grid.average(row_of(layout, 'ERM'))
    assert grid.average(row_of(layout, 'MBCD'))


def test_what_is_missing_is_listed(tables):
    lines = [line for line in whole('mini', ('erm', 'ema', 'mbcd', 'cmrf'))
             if not (line['method'] == 'mbcd' and line['target'] == 'D2'
                     and line['seed'] < 2)
             and (line['method'], line['target'], line['seed']) != (
                 'cmrf', 'D3', 0)]
    lines += [failure(method='mbcd', target='D2', seed=1),
              failure(method='cmrf', target='D3', seed=0)]
    layouts, _, records = tables(lines)
    blocks = missing_cells(list(layouts.values()), records)
    assert blocks[1].texts == tuple(
        layout.title for layout in layouts.values()
        if layout.dataset != 'mini')
    # in-domain has the same runs, and does not name them again
    assert {row[0] for row in blocks[2].rows} == {
        'Multi-source, the mini set'}
    rows = [row[2:] for row in blocks[2].rows]
    assert rows == [
        ('RNA-Net, SimMMDG and MOOSA', 'all 9 runs'),
        ('CMRF', 'D3: seed 0 (failed)'),
        ('MBCD', 'D2: seeds 0 and 1 (failed: 1)')]
    blocks = missing_cells([layouts['multi_source_mini']], replace(
        records, runs=read_records([]).runs))
    assert blocks[-1].rows[0][2:] == ('ERM, EMA, RNA-Net, SimMMDG and MOOSA',
                                      'all 9 runs')


def test_nothing_is_missing(tables):
    layouts, _, records = tables(whole('mini'))
    block, = missing_cells([layouts['multi_source_mini']], records)
    assert block.text == 'None: every table is whole.'


def test_failed_runs_say_what_and_where(tables):
    _, _, records = tables([record(), failure(
        'RuntimeError: test failed; the end of test.log:\n  x\nKeyError: 3\n',
        method='mbcd', variant='ema-dl', modalities=PAIR, seed=2)])
    table, = failed_runs(records.failed)
    row, = table.rows
    assert row[:-1] == ('mini', 'MBCD (ema-dl)', 'flow + audio',
                        'D2 + D3 → D1', '2', 'KeyError: 3')
    assert row[-1].endswith('r.jsonl, line 2')
    assert failed_runs(())[0].text == 'None.'


def test_runs_without_a_table_are_listed(tables):
    lines = [*whole('mini', ('erm', )),
             *[record('mini', 'mbcd', seed=seed, variant='slow')
               for seed in (1, 0)],
             record('mini', 'newer', top1=.5),
             record('mini', sources=['D2', 'D1']),
             record('mini', sources=['D1'])]
    layouts, _, records = tables(lines, ['mini'])
    _, table = outside_runs(list(layouts.values()), records.runs)
    assert {row[1:] for row in table.rows} == {
        ('MBCD (slow)', 'video + flow + audio', 'D2 + D3 → D1', '0 and 1'),
        ('newer', 'video + flow + audio', 'D2 + D3 → D1', '0'),
        ('ERM', 'video + flow + audio', 'D2 + D1 → D1', '0'),
        ('ERM', 'video + flow + audio', 'D1 → D1', '0')}


def test_single_source(tables):
    layouts, runs, records = tables(single('epic', ('erm', 'mbcd')))
    table = result_table(layouts['single_source_epic'], runs)
    assert len(table.heads) == 1 + 7 * 2  # all pairs are published
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['MBCD'][-1] == '60.36'
    assert rows['MBCD'][1] == '59.50 ± 0.60'  # D1 → D2
    assert not outside_runs(list(layouts.values()), records.runs)


def test_in_domain_is_multi_source_on_the_sources(tables):
    layouts, runs, records = tables([
        *whole('epic', ('erm', 'mbcd')),
        *whole('epic', ('erm', ), (0, ), PAIR), *whole('hac', ('mbcd', ))])
    layout = layouts['in_domain_epic']
    # the paper's set, and what else has runs; its four methods, and ERM
    assert [group.modalities for group in layout.groups] == [ALL, PAIR]
    assert [row.label for row in layout.rows] == [
        'ERM', 'SimMMDG', 'MOOSA', 'CMRF', 'MBCD']
    table = result_table(layout, runs)
    assert "(the paper's Table 3)" in table.caption
    assert 'selected by this very score' in table.caption
    assert [head for head, part in table.heads if part == 'paper'] == [
        'without D1', 'without D2', 'without D3', 'average']
    rows = {row[:2]: row[2:] for row in table.rows}
    row = rows['video + flow + audio', 'MBCD']
    assert row[1::2] == ('84.76 ± 0.27', '80.20 ± 0.35', '79.83 ± 0.25',
                         '81.60')
    # what run_records makes of the sources: halfway to one
    sources = [(1 + accuracy('mbcd', '', 0, seed)) / 2 for seed in range(3)]
    assert row[0] == (
        f'{100 * mean(sources):.1f} ± {100 * stdev(sources):.1f}')
    assert rows['video + flow + audio', 'ERM'][1] == '-'
    assert rows['flow + audio', 'MBCD'][:2] == ('missing', '-')
    first = layouts['multi_source_epic']
    # half the accuracy, so half the difference to ERM, in as many pairs
    ours, = [one for one in compare(grid_of(layout, layout.groups[0], runs))
             if one.row.method == 'mbcd']
    theirs, = [one for one in compare(grid_of(first, first.groups[-1], runs))
               if one.row.method == 'mbcd']
    assert ours.difference == pytest.approx(theirs.difference / 2, abs=1e-5)
    assert ours.pairs == theirs.pairs == 9
    assert layout.all_identities() < first.all_identities()
    # a set of which the paper has none: the rows of the first table
    layout = layouts['in_domain_hac']
    assert layout.rows == layouts['multi_source_hac'].rows
    table = result_table(layout, runs)
    assert 'Table' not in table.caption and len(table.heads) == 1 + 4
    line = lines_of(scores_csv(layout, runs))[-4]
    assert (line['sources'], line['target'], line['seeds']) == (
        'animal+cartoon', 'human', '3')
