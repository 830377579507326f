"""Paired tests: by hand, by every sign, and by SciPy called directly."""
import itertools

import numpy as np
import pytest
from run_records import accuracy, record, whole, write
from scipy import stats

from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report import significance
from mbcd_mmaction.analysis.report.cells import (
    p_text,
    pairs_table,
    significance_table,
)
from mbcd_mmaction.analysis.report.grid import grid_of
from mbcd_mmaction.analysis.report.layout import layouts_of
from mbcd_mmaction.analysis.report.significance import (
    compare,
    holm,
    smallest_p,
)

CELLS = list(itertools.product(('D1', 'D2', 'D3'), (0, 1, 2)))


@pytest.fixture
def grid(tmp_path):

    def make(lines):
        records = read_records([write(tmp_path / 'r.jsonl', lines)])
        layout, = [layout for layout in layouts_of(records, ['mini'])
                   if layout.kind == 'multi_source']
        return grid_of(layout, layout.groups[0],
                       {run.identity: run for run in records.runs})

    return make


def lines_of(erm, **methods):
    """Records of nine cells each, in clips of 80 that are right."""
    return [record('mini', method, target, seed, top1=clips / 80)
            for method, values in dict(erm=erm, **methods).items()
            for (target, seed), clips in zip(CELLS, values, strict=True)
            if clips is not None]


def by_every_sign(gaps):
    """Two-sided signed-rank p by the definition: as small a rank sum."""
    rest = np.array([gap for gap in gaps if gap])
    ranks = stats.rankdata(np.abs(rest))

    def smaller(signs):
        positive = ranks[np.array(signs, bool)].sum()
        return min(positive, ranks.sum() - positive)

    all_signs = list(itertools.product((0, 1), repeat=len(rest)))
    seen = smaller(rest > 0)
    return sum(smaller(signs) <= seen + 1e-9
               for signs in all_signs) / len(all_signs)


def test_all_better(grid):
    """Nine different gains: 2 of 2^9 sign patterns are as far out."""
    base = [40] * 9
    one = compare(grid(lines_of(base, mbcd=range(41, 50))))[-1]
    assert (one.row.label, one.reference.label) == ('MBCD', 'ERM')
    assert (one.pairs, one.possible) == (9, 9)
    assert (one.better, one.equal, one.worse) == (9, 0, 0)
    assert one.difference == pytest.approx(100 * 5 / 80)
    assert one.wilcoxon_p == one.holm_p == 2 / 2**9 == smallest_p(9)
    assert one.exact and one.reason == ''


def test_equal_to_scipy_called_directly(grid):
    erm = np.array([40, 35, 61, 52, 47, 44, 50, 58, 39])
    mbcd = erm + [5, -2, 7, 1, -3, 9, 4, 12, 6]
    one = compare(grid(lines_of(erm, mbcd=mbcd)))[-1]
    test = stats.ttest_rel(100 * mbcd / 80, 100 * erm / 80)
    assert one.t_p == pytest.approx(test.pvalue, rel=1e-6)
    low, high = test.confidence_interval(.95)
    assert one.interval == pytest.approx((low, high), rel=1e-6)
    assert low < one.difference < high
    gaps = mbcd - erm
    assert len(set(np.abs(gaps))) == 9 and all(gaps)
    assert one.wilcoxon_p == stats.wilcoxon(gaps, method='exact').pvalue
    assert one.wilcoxon_p == by_every_sign(gaps)
    # averages of a seed: cells are domain by domain
    seeds = stats.ttest_rel(mbcd.reshape(3, 3).mean(0),
                            erm.reshape(3, 3).mean(0))
    assert one.seed_pairs == 3
    assert one.seed_p == pytest.approx(seeds.pvalue, rel=1e-4)


@pytest.mark.parametrize('gaps', [
    [0, 0, 1, 2, 2, 4, -1, 3, 3], [1, 1, 1, 1, 1, -1, -1, 2, 0],
    [5, -5, 5, -5, 5, 5, 5, 1, 1]])
def test_ties_and_zeros_are_exact(grid, gaps):
    """Shares of 80 differ by 1/80, not by what floats make of it."""
    base = [33, 47, 51, 38, 42, 60, 55, 44, 39]
    one = compare(grid(lines_of(
        base, mbcd=[a + b for a, b in zip(base, gaps, strict=True)])))[-1]
    assert one.exact
    assert one.wilcoxon_p == pytest.approx(by_every_sign(gaps), abs=1e-12)
    assert one.equal == gaps.count(0)


def test_many_tied_pairs_are_approximated():
    gaps = np.array([1.0, 1, 2, 2, 3, 3, -1, 4, 4, 5, 5, 6, -2, 7, 0])
    p, exact = significance._wilcoxon(gaps)
    assert not exact
    assert p == stats.wilcoxon(gaps[gaps != 0], method='asymptotic').pvalue
    assert p_text(p, exact) == f'~{p:.4f}'
    assert p == pytest.approx(by_every_sign(gaps), abs=.003)


def test_no_pair_differs():
    assert significance._wilcoxon(np.zeros(9)) == (1.0, True)


def test_holm_by_hand():
    assert holm([.01, .04, .03]) == pytest.approx([.03, .06, .06])
    assert holm([.04, .04, .04]) == pytest.approx([.12, .12, .12])
    assert holm([.5, .6]) == [1.0, 1.0]
    assert holm([.02]) == [.02]
    assert holm([]) == []


def test_holm_over_the_methods_that_were_tested(grid):
    """Nine gains of different size, and a method of five cells."""
    base = [40] * 9
    gains = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    found = {one.row.method: one for one in compare(grid(lines_of(
        base, ema=[40 + g for g in gains],
        moosa=[40 - g if g < 3 else 40 + g for g in gains],
        cmrf=[41, 42, 43, 44, 45, None, None, None, None])))}
    assert found['ema'].wilcoxon_p == 2 / 512
    # ranks 1 and 2 negative: sums up to 3 are the sets {}, 1, 2, 3, {1, 2}
    assert found['moosa'].wilcoxon_p == 2 * 5 / 512
    assert found['ema'].holm_p == 2 * 2 / 512
    assert found['moosa'].holm_p == 2 * 5 / 512
    cmrf = found['cmrf']
    assert (cmrf.pairs, cmrf.better) == (5, 5)
    assert cmrf.difference == pytest.approx(100 * 3 / 80)
    assert (cmrf.wilcoxon_p, cmrf.t_p, cmrf.holm_p, cmrf.interval,
            cmrf.seed_p) == (None, ) * 5
    assert cmrf.reason == '5 pairs, at least 6 are needed'
    assert found['mbcd'].reason == '0 pairs, at least 6 are needed'
    assert found['mbcd'].difference is None


def test_six_pairs_are_the_fewest_that_could_tell():
    assert smallest_p(significance.LEAST_PAIRS) < .05
    assert smallest_p(significance.LEAST_PAIRS - 1) > .05


def test_equal_differences_have_no_t_test(grid):
    one = compare(grid(lines_of([40] * 9, mbcd=[44] * 9)))[-1]
    assert one.t_p is one.interval is one.seed_p is None
    assert 'all differences are equal' in one.reason
    assert one.wilcoxon_p == 2 / 512


def test_two_seeds_are_too_few(grid):
    lines = [line for line in lines_of([40] * 9, mbcd=range(41, 50))
             if line['seed'] < 2]
    one = compare(grid(lines))[-1]
    assert (one.pairs, one.possible, one.seed_pairs) == (6, 6, 2)
    assert one.wilcoxon_p == 2 / 2**6
    assert one.seed_p is None and '2 whole seeds' in one.reason


def test_pairs_are_of_the_same_cell(grid):
    """A cell that one of the two lacks is no pair."""
    lines = [line for line in lines_of([40] * 9, mbcd=range(41, 50))
             if (line['method'], line['target'], line['seed']) not in {
                 ('erm', 'D1', 0), ('mbcd', 'D3', 2)}]
    one = compare(grid(lines))[-1]
    assert (one.pairs, one.possible) == (7, 9)
    assert one.difference == pytest.approx(100 * np.mean(range(2, 9)) / 80)
    assert one.seed_pairs == 1  # seed 1 alone is whole for both


def test_table(grid):
    found = grid(lines_of([40] * 9, ema=range(36, 45), mbcd=range(41, 50)))
    table = significance_table(found, compare(found))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['MBCD'][:4] == ('9 of 9', '9/0/0', '+6.2', '+3.6 to +8.9')
    assert rows['MBCD'][4:7] == ('0.0006', '0.0039', '0.0078')
    assert rows['EMA'][:3] == ('9 of 9', '4/1/4', '+0.0')
    assert rows['CMRF'][2:] == ('missing', ) * 6
    assert ('With 9 pairs that all differ the smallest exact signed-rank p '
            "is 0.0039, and 0.0078 after Holm's correction for 2 rows."
            in table.caption)
    assert p_text(1e-5) == '<0.0001'


def test_all_pairs_of_methods(grid):
    table = pairs_table(grid(lines_of(
        [40] * 9, ema=[40, 41, 42, 43, 44, 39, 40, 40, 40],
        mbcd=[48] * 9)))
    assert table.heads == (('row to column', ''), ('ERM', ''), ('EMA', ''))
    assert table.rows == (('EMA', '+1.2 (4/4/1)', ''),
                          ('MBCD', '+10.0 (9/0/0)', '+8.8 (9/0/0)'))


def test_whole_synthetic_set(grid):
    """Every method against the numbers it was made of."""
    for one in compare(grid(whole('mini'))):
        gaps = [80 * (accuracy(one.row.method, '', place, seed)
                      - accuracy('erm', '', place, seed))
                for place in range(3) for seed in (0, 1, 2)]
        gaps = np.round(gaps)
        assert one.better == (gaps > 0).sum()
        assert one.worse == (gaps < 0).sum()
        assert one.difference == pytest.approx(100 * gaps.mean() / 80,
                                               abs=1e-5)
        assert one.wilcoxon_p == pytest.approx(by_every_sign(gaps),
                                               abs=1e-12)
