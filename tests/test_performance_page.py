"""The figures of docs/performance.md are those that the commands left."""
import importlib
import json
from itertools import product
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ' '.join((ROOT / 'docs/performance.md').read_text().split())
VARIANTS = ('erm', 'erm-frozen', 'frozen', 'batch', 'released')


def figures(name):
    path = ROOT / f'benchmarks/results/performance/{name}.json'
    return json.loads(path.read_text())


def row(*cells):
    """A line of a table, as it stands in the page."""
    return ' '.join(f'| {cell}' for cell in cells) + ' |'


def spread(low, middle, high, digits=2):
    return f'{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})'


def test_the_step_was_timed_as_the_page_says():
    data = figures('step')
    settings = data['settings']
    assert (settings['size'], settings['batch'], settings['rounds']) == (
        224, 2, 9)
    assert data['device'] == 'cpu' and data['threads'] == 2


def test_seconds_of_the_step():
    data = figures('step')['sets']['video+flow+audio']

    def line(title, phases, digits, missing=''):
        cells = [sum(data['seconds'][v].get(p, 0) for p in phases)
                 for v in VARIANTS]
        return row(title, *(f'{x:.{digits}f}' if x else missing
                            for x in cells)).replace('|  |', '| |')

    for text in (
            line('trunks', ['trunk', 'teacher trunk'], 2),
            line('last stages and heads, forward',
                 ['teacher', 'pass 1', 'pass 2'], 2),
            line('gradients', ['inner gradient', 'backward'], 2),
            line('Adam', ['optimizer'], 3), line('average', ['average'], 3),
            row('whole step', *(f'{median(data["steps"][v]):.2f}'
                                for v in VARIANTS)),
            row('to ERM (quartiles)', 1, *(
                spread(*data['ratios']['erm'][v]) for v in VARIANTS[1:])),
            row('to released (quartiles)', *(
                spread(*data['ratios']['released'][v])
                for v in VARIANTS[:-1]), 1)):
        assert ' '.join(text.split()) in PAGE, text


def test_the_step_of_two_modalities():
    sets = figures('step')['sets']
    assert len(sets) == 4
    for title, data in sets.items():
        ratios = data['ratios']
        text = row(title, f'{median(data["steps"]["erm"]):.2f}', *(
            spread(*ratios['erm'][v]) for v in ('frozen', 'batch', 'released')
        ), *(spread(*ratios['released'][v]) for v in ('frozen', 'batch')))
        assert text in PAGE, text


def test_flops_of_the_step():
    data = figures('step_flops')
    assert (data['settings']['size'], data['settings']['batch']) == (224, 16)
    assert len(data['sets']) == 4
    for title, found in data['sets'].items():
        total = {v: sum(a.values()) for v, a in found['flops'].items()}
        text = row(title, f'{total["erm"] / 1e12:.2f}', *(
            f'{total[v] / total["erm"]:.2f}'
            for v in ('frozen', 'batch', 'released')))
        assert text in PAGE, text


@pytest.mark.parametrize('perturb', [True, False])
def test_live_tensors_of_the_step(perturb):
    data = figures('step_memory' if perturb else 'step_memory_plain')
    assert data['settings']['perturb'] == perturb
    assert (data['settings']['size'], data['settings']['batch']) == (224, 16)
    found = data['sets']['video+flow+audio']['live_bytes']
    peaks = [max(found[v].values()) for v in (
        'erm', 'frozen', 'frozen-late', 'batch', 'batch-late', 'released')]
    for text in (row('GiB', *(f'{p / 2**30:.2f}' for p in peaks)),
                 row('to ERM', *(f'{p / peaks[0]:.2f}' for p in peaks))):
        assert text in PAGE, text


def test_the_loader():
    rows, imageio = ({(r['set'], r['what']): r for r in figures(name)['rows']}
                     for name in ('loader', 'loader_imageio'))
    assert f'({figures("loader_imageio")["imageio"]})' in PAGE
    titles = {
        'EPIC-like clips': 'EPIC-like clips',
        'EPIC-like clips, re-encoded':
        'the same after `tools/data/reencode.py`',
        'EPIC-like jpg frames': 'the same as jpg frames',
        'HAC-like clips': 'HAC-like clips'
    }
    for table, (name, title) in product((rows, imageio), titles.items()):
        r = table[name, 'whole sample']
        text = row(title, f'{r["other_ms"]:.0f}',
                   f'{r["ours_ms"]:.0f}',
                   spread(r['low'], r['ratio'], r['high'], 1))
        assert text in PAGE, text
    for what, said in (('bare, and our reader', '{} times what bare'),
                       ('bare, and our video', 'copy it is {} (')):
        first = rows['EPIC-like clips', what]['ratio']
        assert said.format(f'{first:.2f}') in PAGE
        for name in list(titles)[1:]:
            assert f'{rows[name, what]["ratio"]:.2f}' in PAGE
    for name in ('EPIC-like clips', 'HAC-like clips'):
        assert f': {rows[name, "audio"]["ratio"]:.1f})' in PAGE


def test_scale():
    for r, title in zip(figures('records'), (
            "EPIC-Kitchens' annotations", 'a manifest'), strict=True):
        assert r['records'] == 10**6
        text = row(title, f'{r["start_s"]:.1f}', *(
            f'{r[key]:.0f}' for key in ('peak', 'kept', 'bytes_a_clip',
                                        'growth')))
        assert text in PAGE, text
    data = figures('checkpoint')
    for number in (data['file_bytes'], data['state_dict']['bytes'],
                   data['ema_state_dict']['bytes'],
                   data['optimizer']['bytes']):
        assert f' {number / 1e6:.0f}' in PAGE
    for key in ('save_s', 'load_s'):
        assert f'{median(data[key]):.1f} s' in PAGE
    rates = {(r['processes'], r['workers']): r['ratio'][1]
             for r in figures('throughput')}
    for case in ((1, 1), (1, 2), (1, 4), (2, 0)):
        assert f'{rates[case]:.2f}' in PAGE
    data = figures('ddp')
    assert f'{data["bytes"]["inner"] / 1e6:.0f} MB' in PAGE
    assert (f'{sum(data["bytes"]["buckets"]) / 1e6:.0f} MB in '
            f'{len(data["bytes"]["buckets"])} buckets') in PAGE
    near, far = data['on_paper']
    assert (f'{1e3 * near["inner_s"]:.1f} and {1e3 * near["buckets_s"]:.1f} '
            'ms on 8 GPUs at 450 GB/s') in PAGE
    assert (f'{1e3 * far["inner_s"]:.0f} and {1e3 * far["buckets_s"]:.0f} ms '
            'on 64 GPUs at 25 GB/s') in PAGE


def test_shortcuts(monkeypatch):
    """The table is the tool's own, and the text says its extremes."""
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    options = importlib.import_module('options')
    lines = (ROOT / 'benchmarks/results/options.jsonl').read_text()
    done = [json.loads(line) for line in lines.splitlines()]
    assert {(r['variant'], r['target'], r['seed']) for r in done} == {
        (v, t, 0) for v in options.VARIANTS for t in ('D1', 'D2', 'D3')}
    table = options.table(done)
    assert table in (ROOT / 'docs/performance.md').read_text()
    gain = {line.split('|')[1].strip(): line.split('|')[-2].strip()
            for line in table.splitlines()[2:]}
    rounding = [gain[v] for v in ('folded-norms', 'channels-last',
                                  'compiled-trunk')]
    low, high = min(rounding, key=float), max(rounding, key=float)
    assert f'{low} to {high}, is what rounding alone does' in PAGE
    assert [v for v in gain if not float(low) <= float(gain[v])
            <= float(high)] == ['bf16-all', 'consistency-every-2nd',
                                'cached-4-views']
