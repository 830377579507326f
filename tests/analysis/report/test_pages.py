"""Markdown, HTML and files of a report."""
import base64
import json
import re

import pytest
from report_page import Page, markdown_tables
from run_records import (
    ALL,
    PAIR,
    failure,
    mini_set,
    record,
    single,
    whole,
    write,
)

from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report import write as writing
from mbcd_mmaction.analysis.report.document import join
from mbcd_mmaction.analysis.report.html import to_html
from mbcd_mmaction.analysis.report.markdown import to_markdown
from mbcd_mmaction.analysis.report.sections import make_report
from mbcd_mmaction.analysis.report.style import STYLE
from mbcd_mmaction.analysis.report.write import read_pictures, write_report

COMMAND = 'python tools/report.py results.jsonl --out <here>'
PNG = (b'\x89PNG\r\n\x1a\n' + base64.b64decode(
    'AAAADUlIRFIAAAABAAAAAQgGAAAAHxXEiQAAAAtJREFUeNpjYAACAAAFAAGq1chR'
    'AAAAAElFTkSuQmCC'))


@pytest.fixture
def no_figures(monkeypatch):
    """They take a second each."""
    monkeypatch.setattr(writing, '_charts', lambda: None)


def many():
    """Two sets with gaps, a failed run, and one without a table."""
    lines = [line for line in mini_set() if (
        line['method'], line['target'], line['seed']) != ('moosa', 'D2', 1)]
    return [*lines, *whole('epic', ('erm', 'mbcd')),
            *whole('epic', ('erm', 'cmrf'), (0, 1), PAIR),
            *single('hac', ('mbcd', )), record('mini', 'mbcd', variant='x'),
            failure('Error: a < b | c & d', method='moosa', target='D2',
                    seed=1)]


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    return read_records([write(
        tmp_path_factory.mktemp('records') / 'r.jsonl', many())])


@pytest.fixture(scope='module')
def report(records):
    return make_report(records, COMMAND)


def test_every_table_of_the_markdown_is_in_the_page(report):
    text = to_markdown(report.document)
    page = Page(to_html(report.document))
    tables = markdown_tables(text)
    assert len(tables) == len(page.tables) == len(report.document.tables())
    assert len(tables) > 20
    for place, rows in enumerate(tables):
        assert page.rows(place) == rows
    for caption, table in zip(page.captions, report.document.tables(),
                              strict=True):
        assert caption == table.caption
        assert table.caption.partition('. ')[2] in text


def test_page_is_well_formed_and_needs_nothing(report):
    text = to_html(report.document)
    page = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(page.ids) == len(set(page.ids))
    inner = [link for link in page.links if link.startswith('#')]
    assert {link[1:] for link in inner} <= set(page.ids)
    assert len(inner) > 10
    assert [link for link in page.links if link not in inner] == ['data:,']
    assert not re.findall(r'(?:https?:)?//[a-z]|<script|@import|url\(', text)
    assert set(page.scopes) == {'col', 'colgroup', 'row', 'rowgroup'}
    assert page.headings[0] == ('h1', 'Results')
    assert [text for tag, text in page.headings if tag == 'h2'] == [
        'EPIC-Kitchens', 'HAC', 'The mini set', 'Failed runs',
        'Missing cells', 'Other runs', 'Provenance']


def test_texts_are_escaped(report):
    page = to_html(report.document)
    assert 'Error: a &lt; b | c &amp; d' in page
    assert '<code>python tools/report.py results.jsonl --out &lt;here&gt;'\
        '</code>' in page
    assert r'Error: a < b \| c & d' in to_markdown(report.document)


def test_page_of_one_set(records, report):
    document = make_report(records, COMMAND, ['mini']).document
    text = to_markdown(document)
    assert text.startswith('# Results on the mini set\n\nMade by `python')
    assert [line for line in text.splitlines() if line.startswith('## ')] == [
        '## Multi-source', '## In-domain', '## Ablation',
        '## Modality dropout',
        '## Failed runs', '## Missing cells', '## Other runs',
        '## Provenance']
    assert '"paper"' not in text
    assert '"paper"' in to_markdown(report.document)
    # runs of the other sets are not counted either
    assert f'{len(mini_set())} finished runs' in text


def test_everything_that_the_first_page_of_the_mini_set_showed(tmp_path):
    """Targets, sources, each output of both, and all pairs."""
    records = read_records([write(tmp_path / 'r.jsonl', whole('mini'))])
    captions = [table.caption for table in make_report(
        records, COMMAND, ['mini']).document.tables()]
    starts = ['Multi-source, the mini set, video + flow + audio.',
              'Against ERM on the same splits and seeds',
              'Unseen target, fused, cell by cell',
              'Unseen target, each output',
              'In-domain, the mini set, video + flow + audio.',
              'Against ERM on the same splits and seeds',
              'Sources, each output', 'What the tables are made of.']
    assert len(captions) == len(starts)
    assert all(caption.startswith(start) for caption, start in zip(
        captions, starts, strict=True))


def test_provenance(tmp_path):
    other = {'torch': '2.12.0', 'mmcv': None}
    lines = [record(seed=0, threads=2),
             record(seed=1, commit='beef', versions=other), failure(seed=2)]
    path = write(tmp_path / 'r.jsonl', [record(seed=1), *lines])
    path.write_text(path.read_text() + '{"data')
    records = read_records([path])
    table = make_report(records, COMMAND, ['mini']).document.tables()[-1]
    assert dict(table.rows) == {
        'records': str(path), 'finished runs': '2', 'failed runs': '1',
        'superseded lines': '1', 'lines cut off in writing': f'{path}, '
        'line 5', 'hours of train': '0.10', 'hours of test': '0.02',
        'commit': 'beef (1 of 2 runs), c0ffee0 (1 of 2 runs)',
        'GPUs of a run': '1',
        'threads of a process': '2 (1 of 2 runs), unknown (1 of 2 runs)',
        'mmcv': 'unknown',
        'mmaction2': '1.2.0 (1 of 2 runs), unknown (1 of 2 runs)',
        'torch': '2.12.0 (1 of 2 runs), 2.13.0 (1 of 2 runs)'}


def test_hours_that_not_all_runs_have(tmp_path):
    def hours(*runs):
        records = read_records([write(tmp_path / 'r.jsonl', runs)])
        table = make_report(records, COMMAND, ['mini']).document.tables()[-1]
        return dict(table.rows)['hours of train']

    without = {**record(seed=1), 'hours': None}
    assert hours(record(seed=0), without) == '0.05 (1 of 2 runs)'
    assert hours(without) == 'unknown'


def test_without_a_counterpart_there_is_no_test(tmp_path):
    records = read_records([write(tmp_path / 'r.jsonl',
                                  whole('mini', ('mbcd', )))])
    text = to_markdown(make_report(records, COMMAND, ['mini']).document)
    assert 'No test: no run has a counterpart of ERM.' in text
    assert 'signed-rank' not in text


def test_no_record_at_all(tmp_path, no_figures):
    (tmp_path / 'r.jsonl').write_text('')
    records = read_records([tmp_path / 'r.jsonl'])
    report, files = write_report(records, tmp_path / 'out', COMMAND)
    text = (tmp_path / 'out/report.md').read_text()
    assert '0 finished runs' in text
    assert len(report.layouts) == 7
    assert 'Tables without a single run:' in text
    assert Page((tmp_path / 'out/report.html').read_text()).tables


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def test_files(records, tmp_path):
    _, files = write_report(records, tmp_path / 'a', COMMAND,
                            page=tmp_path / 'page.md')
    assert files.pop() == tmp_path / 'page.md'
    found = contents(tmp_path / 'a')
    assert set(found) == {str(f.relative_to(tmp_path / 'a')) for f in files}
    tables = {f'table_{name}.{kind}' for kind in ('md', 'csv') for name in (
        'multi_source_epic', 'single_source_epic', 'in_domain_epic',
        'ablation_epic', 'multi_source_hac', 'single_source_hac',
        'dropout_hac', 'multi_source_mini', 'in_domain_mini',
        'ablation_mini', 'dropout_mini')}
    figures = {
        f'figures/{kind}_multi_source_{name}.{ending}'
        for kind in ('accuracy', 'outputs') for ending in ('svg', 'json')
        for name in ('epic_flow-audio', 'epic_video-flow-audio',
                     'mini_video-flow-audio')}
    assert set(found) == {*tables, *figures, 'report.md', 'report.html',
                          'significance.csv', 'outputs.csv'}
    page = found['report.html'].decode()
    text = found['report.md'].decode()
    for name in found:
        content = found[name]
        if name.endswith('.svg'):
            assert base64.b64encode(content).decode() in page
            assert f']({name})' in text
        if name.startswith('table_') and name.endswith('.md'):
            assert content.decode() in text
    # the copy that lies elsewhere has no figures
    copy = (tmp_path / 'page.md').read_text()
    assert markdown_tables(copy) == markdown_tables(text)
    assert '](figures/' in text and '](figures/' not in copy


def test_the_same_records_give_the_same_bytes(tmp_path):
    lines = [*whole('mini', ('erm', 'mbcd')), *whole('epic', ('erm', ))]
    path = write(tmp_path / 'r.jsonl', lines)
    write_report(read_records([path]), tmp_path / 'a', COMMAND)
    write(path, lines[::-1])
    write_report(read_records([path]), tmp_path / 'b', COMMAND)
    first, second = contents(tmp_path / 'a'), contents(tmp_path / 'b')
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_figures_hold_the_numbers_of_the_tables(tmp_path):
    lines = whole('epic', ('erm', 'rna_net', 'mbcd'))
    write_report(read_records([write(tmp_path / 'r.jsonl', lines)]),
                 tmp_path, COMMAND)
    stem = tmp_path / 'figures/accuracy_multi_source_epic_video-flow-audio'
    numbers = json.loads(stem.with_suffix('.json').read_text())
    assert list(numbers['panels']) == ['D1', 'D2', 'D3', 'average']
    rows = {line.split('|')[2].strip(): line.split('|')[3:-1]
            for line in (tmp_path / 'table_multi_source_epic.md'
                         ).read_text().splitlines()
            if line.startswith('| video + flow + audio')}
    for place, panel in enumerate(numbers['panels'].values()):
        for label, dots in panel.items():
            ours, paper = (text.strip() for text in
                           rows[label][2 * place:2 * place + 2])
            assert (dots['mean'] is None) == (label not in (
                'ERM', 'RNA-Net', 'MBCD'))
            if dots['mean'] is None:
                assert dots['std'] is None
                assert (ours, dots['seeds']) == ('missing', {})
            else:
                mean, std = map(float, ours.split(' ± '))
                assert mean == pytest.approx(dots['mean'], abs=.0501)
                assert std == pytest.approx(dots['std'], abs=.0501)
                assert list(dots['seeds']) == ['0', '1', '2']
            assert paper.split(' ± ')[0] == (
                '-' if dots['published'] is None
                else f'{dots["published"]:.2f}')
    svg = stem.with_suffix('.svg').read_text()
    assert 'prefers-color-scheme' in svg and '#123454' not in svg
    assert [label in svg for label in ('RNA-Net', 'average', 'published')
            ] == [True] * 3
    outputs = json.loads((tmp_path / 'figures/outputs_multi_source_epic_'
                          'video-flow-audio.json').read_text())
    assert list(outputs['panels']) == ['fused', *ALL]


def test_alt_tells_the_averages(tmp_path):
    records = read_records([write(tmp_path / 'r.jsonl', whole(
        'mini', ('erm', 'mbcd')))])
    report, _ = write_report(records, tmp_path, COMMAND, ['mini'])
    average = {row[0]: row[-1] for row in report.document.tables()[0].rows}
    page = Page((tmp_path / 'report.html').read_text())
    assert len(page.alts) == 2
    for method in ('ERM', 'MBCD'):
        assert f'{method} {average[method]}' in page.alts[0]
    assert 'RNA-Net' not in page.alts[0]


def test_without_matplotlib(records, tmp_path, no_figures):
    write_report(records, tmp_path / 'out', COMMAND)
    assert not (tmp_path / 'out/figures').exists()
    assert 'Made without figures' in (tmp_path / 'out/report.md').read_text()
    assert Page((tmp_path / 'out/report.html').read_text()).sources == []


def test_figures_made_elsewhere(records, tmp_path, no_figures):
    folder = tmp_path / 'more'
    folder.mkdir()
    (folder / 'flat.png').write_bytes(PNG)
    (folder / 'flat.json').write_text(json.dumps(dict(
        caption='How `flat` it is.', alt='A line.', values=[1, 2])))
    (folder / 'no_words.png').write_bytes(PNG)
    write_report(records, tmp_path / 'out', COMMAND, ['mini'], folder)
    page = (tmp_path / 'out/report.html').read_text()
    read = Page(page)
    assert read.alts[-2:] == ['A line.', 'no words']
    assert 'How <code>flat</code> it is.' in page
    assert read.sources[-1] == ('data:image/png;base64,'
                                + base64.b64encode(PNG).decode())
    assert (tmp_path / 'out/figures/flat.png').read_bytes() == PNG
    assert json.loads((tmp_path / 'out/figures/flat.json').read_text())[
        'values'] == [1, 2]
    assert '![A line.](figures/flat.png)' in (
        tmp_path / 'out/report.md').read_text()


def test_figures_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='NAME.png'):
        read_pictures(tmp_path)
    (tmp_path / 'a.png').write_text('<svg>')
    with pytest.raises(ValueError, match='expected a PNG file'):
        read_pictures(tmp_path)


def luminance(colour):
    values = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= .04045 else ((v + .055) / 1.055)**2.4
              for v in values]
    return sum(w * v for w, v in zip((.2126, .7152, .0722), linear,
                                     strict=True))


@pytest.mark.parametrize('theme', [0, 1], ids=['light', 'dark'])
def test_contrast(theme):
    """4.5 to 1 at least, as WCAG 2 asks for text."""
    block = re.findall(r':root \{(.*?)\}', STYLE, re.S)[theme]
    colours = dict(re.findall(r'--(\w+): (#[0-9a-f]{6});', block))
    assert len(colours) == 8
    for text in ('ink', 'soft', 'link', 'none'):
        for ground in ('paper', 'band'):
            pair = sorted(luminance(colours[name])
                          for name in (text, ground))
            assert (pair[1] + .05) / (pair[0] + .05) > 4.5, (text, ground)


def test_join():
    assert [join(names) for names in ([], ['a'], ['a', 'b'],
                                      ['a', 'b', 'c'])] == [
        '', 'a', 'a and b', 'a, b and c']
