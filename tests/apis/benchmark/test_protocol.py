"""Protocol files: the shipped ones, and what is refused."""
from collections import Counter
from pathlib import Path

import pytest
from fake_root import make_root

from mbcd_mmaction.apis.benchmark.experiment import Experiment, resolved_config
from mbcd_mmaction.apis.benchmark.protocol import ProtocolError, read_protocol

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / 'benchmarks/protocols').glob('*.yaml'))
TOY = """
dataset: toy
targets: [D1, D2]
modalities: [[audio], [audio, video]]
methods: [erm, mbcd]
seeds: [0, 1]
"""
ROWS = {'erm', 'ema', 'mbcd'}
COMPARED = {'erm', 'rna_net', 'simmmdg', 'moosa', 'cmrf', 'mbcd'}
# rows, source-target pairs, modality sets
SHAPES = {
    'mini': (COMPARED | {'ema'}, 3, 1),
    'epic_multi_source': (COMPARED, 3, 4),
    'epic_single_source': (COMPARED, 6, 1),
    'hac_multi_source': (COMPARED, 3, 4),
    'hac_single_source': (COMPARED, 6, 1),
    'ablation': (ROWS | {'mbcd ema-amd', 'mbcd ema-gcc', 'mbcd ema-dl'}, 3,
                 1),
    'mini_ablation': (
        ROWS | {'mbcd ema-amd', 'mbcd ema-gcc', 'mbcd ema-dl'}, 3, 1),
    'dropout': ({'mbcd no-dropout', 'mbcd fixed-dropout', 'mbcd'}, 3, 1),
    'mini_dropout': ({'mbcd no-dropout', 'mbcd fixed-dropout', 'mbcd'}, 3,
                     1),
    'in_domain': (COMPARED - {'erm', 'rna_net'}, 3, 1),
}
ONE_SEED = {'mini_ablation', 'mini_dropout'}


@pytest.fixture
def read(tmp_path):
    root = make_root(tmp_path / 'root')

    def reader(text):
        path = tmp_path / 'toy.yaml'
        path.write_text(text)
        return read_protocol(path, root)

    return reader


def test_order_and_names(read):
    found = read(TOY)
    assert len(found) == len(set(found)) == 16
    assert found[0] == Experiment('erm', 'toy', 'D1', 0,
                                  modalities=('audio', ))
    # all modalities in the config's order are the config's
    assert found[2] == Experiment('erm', 'toy', 'D1', 0)
    assert [e.seed for e in found] == [0] * 8 + [1] * 8
    assert [e.target for e in found[:8]] == ['D1'] * 4 + ['D2'] * 4


def test_methods_with_options(read):
    found = read(TOY.replace('[erm, mbcd]', """
  - {method: erm, options_by_count: {1: [a.b=2]}}
  - {method: mbcd, variant: x-1, options: [a.b=1]}"""))
    assert [(e.method, e.variant, e.options) for e in found[:4]] == [
        ('erm', '', ('a.b=2', )), ('mbcd', 'x-1', ('a.b=1', )),
        ('erm', '', ()), ('mbcd', 'x-1', ('a.b=1', ))]


def test_an_address_is_no_path_of_a_machine(read):
    found = read(TOY.replace('[erm, mbcd]', """
  - {method: erm, variant: x, options: ['a.b=https://x.org/a/b.pth']}"""))
    assert found[0].options == ('a.b=https://x.org/a/b.pth', )


def test_pairs(read):
    found = read(TOY.replace('targets: [D1, D2]', 'pairs: [[D1, D1]]'))
    assert found[0] == Experiment('erm', 'toy', 'D1', 0, (), '',
                                  ('audio', ), ('D1', ))


@pytest.mark.parametrize('old,new,message', [
    (TOY, '- 1', 'expected a mapping with .*got'),
    (TOY, 'a: [', 'expected YAML'),
    ('seeds', 'sedes', "key: expected one of .*'seeds'.*got 'sedes'"),
    ('dataset: toy', 'dataset: epic', r"dataset: expected one of \['toy'\]"),
    ('[erm, mbcd]', '[erm, mcbd]',
     r"methods: expected one of \['erm', 'mbcd'\], got 'mcbd'"),
    ('[erm, mbcd]', '[erm, erm]', "methods: expected each once, got 'erm'"),
    ('[erm, mbcd]', '[]', r'methods: expected a list .*got \[\]'),
    ('[erm, mbcd]', 'erm', "methods: expected a list .*got 'erm'"),
    ('[erm, mbcd]', '[{method: erm, option: [a=1]}]',
     "methods: expected one of .*got 'option'"),
    ('[erm, mbcd]', '[{variant: v, options: [a=1]}]', 'got None'),
    ('[erm, mbcd]', '[{method: erm, options: [a=1]}]',
     "expected 'variant' and 'options' together"),
    ('[erm, mbcd]', '[{method: erm, variant: v}]',
     "expected 'variant' and 'options' together"),
    ('[erm, mbcd]', '[{method: erm, variant: V_1, options: [a=1]}]',
     "small letters, digits and hyphens, got 'V_1'"),
    ('[erm, mbcd]', '[{method: erm, variant: v, options: [a]}]',
     "expected a list of 'key=value'"),
    ('[erm, mbcd]', '[{method: erm, variant: v, options: [a=/data/b.pth]}]',
     'paths from the root of the checkout.*/data/b.pth'),
    ('[erm, mbcd]', r'[{method: erm, variant: v, options: ["a=[D:/b.pth]"]}]',
     'paths from the root of the checkout'),
    ('[erm, mbcd]', '[{method: erm, options_by_count: [a=1]}]',
     'options_by_count: expected numbers'),
    ('[D1, D2]', '[D1, D4]',
     r"targets: expected one of \['D1', 'D2', 'D3'\], got 'D4'"),
    ('[D1, D2]', '[D1, D1]', "targets: expected each once, got 'D1'"),
    ('targets: [D1, D2]', '', "either 'targets' or 'pairs'"),
    ('seeds', 'pairs: [[D1, D2]]\nseeds', "either 'targets' or 'pairs'"),
    ('targets: [D1, D2]', 'pairs: [D1]', 'expected \\[source, target\\]'),
    ('targets: [D1, D2]', 'pairs: [[D1, D4]]', "pairs: .*got 'D4'"),
    ('targets: [D1, D2]', 'pairs: [[D1, D2]]',
     'expected the config configs/erm/toy_d1_to_d2.py, found none'),
    ('[audio], ', '[flow], ',
     r"modalities: expected one of \['video', 'audio'\], got 'flow'"),
    ('[audio], ', '[], ', r'modalities: expected lists .*got \[\]'),
    ('[audio], ', 'audio, ', "modalities: expected lists .*got 'audio'"),
    ('[audio], ', '[audio, audio], ', 'modalities: expected each once'),
    ('[audio], ', '[video, audio], ', 'modalities: expected each once'),
    ('[0, 1]', '[1, 1]', 'seeds: expected each once, got 1'),
    ('[0, 1]', '[zero]', "seeds: expected whole numbers, got 'zero'"),
    ('[0, 1]', '', 'seeds: expected a list .*got None'),
])
def test_refused(read, old, new, message):
    assert old in TOY
    with pytest.raises(ProtocolError, match=message) as error:
        read(TOY.replace(old, new, 1))
    assert 'toy.yaml: ' in str(error.value)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.yaml'):
        read_protocol(tmp_path / 'absent.yaml', ROOT)


def test_shipped_files():
    assert {path.stem for path in SHIPPED} == set(SHAPES)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_shapes(path):
    """Every config is there, and the table is full."""
    rows, pairs, sets = SHAPES[path.stem]
    found = read_protocol(path, ROOT)
    cells = Counter(f'{e.method} {e.variant}'.strip() for e in found)
    seeds = {0} if path.stem in ONE_SEED else {0, 1, 2}
    assert cells == dict.fromkeys(rows, pairs * sets * len(seeds))
    assert len({(e.sources, e.target) for e in found}) == pairs
    assert len({e.modalities for e in found}) == sets
    assert {e.seed for e in found} == seeds
    assert len({e.name for e in found}) == len(found)
    assert {len(e.sources) for e in found} == {
        int(path.stem.endswith('single_source'))}
    assert all(e.target not in e.sources for e in found)


def test_in_domain_shares_the_runs_of_table_1():
    in_domain, table_1 = (
        read_protocol(ROOT / f'benchmarks/protocols/{stem}.yaml', ROOT)
        for stem in ('in_domain', 'epic_multi_source'))
    assert set(in_domain) < set(table_1)


def variants(stem):
    found = read_protocol(ROOT / f'benchmarks/protocols/{stem}.yaml', ROOT)
    return {e.variant: resolved_config(e, ROOT) for e in found
            if e.seed == 0 and e.target == found[0].target
            and e.method == 'mbcd'}


@pytest.mark.parametrize('stem', ['ablation', 'mini_ablation'])
def test_ablation_switches_one_component_on(stem):
    configs = variants(stem)

    def on(config):
        look_ahead, teacher = config.custom_hooks
        return {name for name, value in dict(
            amd=config.model.modality_dropout, gcc=look_ahead.inner_lr,
            dl=teacher.distill_weight, ema=teacher.ema_decay).items()
            if value}

    assert {name: on(config) for name, config in configs.items()} == {
        '': {'amd', 'gcc', 'dl', 'ema'}, 'ema-amd': {'amd', 'ema'},
        'ema-gcc': {'gcc', 'ema'}, 'ema-dl': {'dl', 'ema'}}
    assert all(list(config.model.modalities) == ['flow', 'audio']
               for config in configs.values())


@pytest.mark.parametrize('stem', ['dropout', 'mini_dropout'])
def test_dropouts(stem):
    found = {name: config.model.modality_dropout
             for name, config in variants(stem).items()}
    assert found == {
        '': dict(type='AdaptiveModalityDropout'), 'no-dropout': None,
        'fixed-dropout': dict(type='FixedModalityDropout', prob=.5)}


@pytest.mark.parametrize('stem', ['epic_multi_source', 'hac_multi_source'])
def test_moosa_cuts_two_modalities_into_more(stem):
    path = ROOT / f'benchmarks/protocols/{stem}.yaml'
    counts = {
        (len(config.model.modalities), config.model.objective.num_chunks)
        for config in (resolved_config(e, ROOT)
                       for e in read_protocol(path, ROOT)
                       if e.method == 'moosa' and e.seed == 0)}
    assert counts == {(2, 4), (3, 2)}


def test_runs_that_two_protocols_share_are_one():
    ablation, table = (
        set(read_protocol(ROOT / f'benchmarks/protocols/{stem}.yaml', ROOT))
        for stem in ('ablation', 'epic_multi_source'))
    shared = ablation & table
    assert {e.method for e in shared} == {'erm', 'mbcd'}
    assert len(shared) == 2 * 3 * 3
