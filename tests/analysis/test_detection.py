"""Detection of errors and of foreign clips: by hand, by loops, and what is
positive."""
import json
from itertools import permutations

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.metrics import roc_auc_score, roc_curve

from mbcd_mmaction.analysis.detection import (
    aurc,
    auroc,
    detection_numbers,
    detection_rows,
    detection_table,
    fpr_at_tpr,
    max_softmax,
    misclassification,
    out_of_distribution,
    risk_coverage,
    roc,
)
from mbcd_mmaction.analysis.pictures import detection


def random_case(seed, levels=None):
    """Confidence and correctness of 40 clips; with few levels, of ties."""
    rng = np.random.default_rng(seed)
    confidence = (rng.random(40) if levels is None else
                  rng.integers(0, levels, 40) / levels)
    correct = rng.random(40) < .3 + .5 * confidence
    return confidence, correct


def test_aurc_by_hand():
    """Surest first: right, wrong, right, right: risks 0, 1/2, 1/3, 1/4."""
    confidence = np.array([.6, .9, .7, .8])
    correct = np.array([True, True, True, False])
    coverage, risk = risk_coverage(confidence, correct)
    assert coverage.tolist() == [.25, .5, .75, 1]
    assert risk == pytest.approx([0, 1 / 2, 1 / 3, 1 / 4])
    assert aurc(confidence, correct) == pytest.approx(13 / 48)


def loop_aurc(confidence, correct):
    """One order of the clips, from the surest on."""
    order = sorted(range(len(confidence)), key=lambda i: -confidence[i])
    errors, risks = 0, []
    for count, i in enumerate(order, start=1):
        errors += not correct[i]
        risks.append(errors / count)
    return sum(risks) / len(risks)


@pytest.mark.parametrize('seed', range(3))
def test_aurc_against_a_loop(seed):
    confidence, correct = random_case(seed)
    assert aurc(confidence, correct) == pytest.approx(
        loop_aurc(confidence, correct))


def test_tied_clips_have_no_order():
    """The mean over every order in which they could have been read."""
    confidence = np.array([.9, .5, .5, .5, .5, .1])
    correct = np.array([True, False, True, False, True, False])
    values = [loop_aurc(confidence[list(p)], correct[list(p)])
              for p in permutations(range(6))]
    assert len(set(np.round(values, 9))) > 1
    assert aurc(confidence, correct) == pytest.approx(np.mean(values))
    order = [3, 5, 0, 4, 1, 2]
    assert aurc(confidence[order], correct[order]) == pytest.approx(
        aurc(confidence, correct))


def test_aurc_at_its_ends():
    confidence = np.arange(10) / 10
    best = aurc(confidence, confidence >= .3)
    assert best < aurc(confidence, confidence < .7)  # surest are wrong
    assert aurc(confidence, np.ones(10)) == 0
    assert aurc(confidence, np.zeros(10)) == 1
    # nothing told apart: the error rate
    assert aurc(np.ones(10), confidence >= .3) == pytest.approx(.3)


def test_auroc_by_hand():
    """Pairs: .9 wins both; .5 wins one and ties one."""
    assert auroc(np.array([.9, .5]), np.array([.5, .2])) == pytest.approx(
        3.5 / 4)
    assert auroc(np.array([1., 2]), np.array([0., 0])) == 1
    assert auroc(np.array([0., 0]), np.array([1., 2])) == 0


@pytest.mark.parametrize('levels', [None, 5])
def test_rates_against_loops_and_scikit_learn(levels):
    for seed in range(3):
        confidence, correct = random_case(seed, levels)
        positive, negative = confidence[correct], confidence[~correct]
        wins = [(p > n) + .5 * (p == n) for p in positive for n in negative]
        assert auroc(positive, negative) == pytest.approx(np.mean(wins))
        assert auroc(positive, negative) == pytest.approx(
            roc_auc_score(correct, confidence))
        for tpr in (.95, .5, 1):
            # the strictest threshold that lets enough of the positives in
            for threshold in sorted(set(confidence), reverse=True):
                if (positive >= threshold).mean() >= tpr:
                    break
            wanted = (negative >= threshold).mean()
            assert fpr_at_tpr(positive, negative, tpr) == pytest.approx(
                wanted)
            false, true, _ = roc_curve(correct, confidence,
                                       drop_intermediate=False)
            assert wanted == pytest.approx(false[true >= tpr][0])


def test_fpr95_by_hand():
    """20 positives at 1 to 20: 19 reach 2, as do three of five negatives."""
    positive = np.arange(1, 21)
    assert fpr_at_tpr(positive, np.array([0, 1, 2, 3, 30])) == .6
    assert fpr_at_tpr(positive, np.array([0, 1])) == 0
    # scikit-learn drops points on a straight line unless told not to
    same = np.arange(10)
    assert fpr_at_tpr(same, same, .5) == .5


def test_what_is_not_defined():
    some, none = np.array([.5, .6]), np.array([])
    assert auroc(some, none) is auroc(none, some) is None
    assert fpr_at_tpr(some, none) is roc(none, some) is None
    scores = np.array([[.9, .1], [.2, .8]])
    found = misclassification(scores, np.array([0, 1]))
    assert found == dict(clips=2, accuracy=1, aurc=0, auroc=None, fpr95=None)
    with pytest.raises(ValueError, match='one at least'):
        aurc(none, none)
    with pytest.raises(ValueError, match='of the same clips'):
        aurc(some, np.array([True]))


def test_correct_predictions_are_positive():
    scores = np.array([[.9, .1], [.6, .4], [.3, .7], [.55, .45]])
    assert max_softmax(scores).tolist() == [.9, .6, .7, .55]
    # right at .9 and .7, wrong at .6 and .55: told apart without an error
    found = misclassification(scores, np.array([0, 1, 1, 1]))
    assert found == dict(clips=4, accuracy=.5, auroc=1, fpr95=0,
                         aurc=pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4))
    # wrong where it is sure
    found = misclassification(scores, np.array([1, 0, 0, 0]))
    assert found['auroc'] == 0 and found['fpr95'] == 1


def two(p):
    """Probabilities of two classes, (N, 2)."""
    return np.stack([p, 1 - np.asarray(p)], 1)


def test_which_clips_are_positive():
    known = np.linspace(.52, .9, 20)  # 19 reach the second
    ood = np.array([.525, .6, .505, .7, .85])
    found = out_of_distribution(two(known), two(ood))
    assert (found['known_clips'], found['ood_clips']) == (20, 5)
    assert found['auroc'] == pytest.approx(
        roc_auc_score([1] * 20 + [0] * 5, [*known, *ood]))
    # 95 % of the known clips reach .54, as do three of the OOD ones
    assert found['fpr95'] == pytest.approx(3 / 5)
    # 95 %, that is all, of the OOD clips are below .85, or at it, as are 17
    # or 18 of the known ones
    assert found['fpr95_ood_positive'] == (known <= .85).mean()
    # AUROC does not care which side is called positive
    assert roc_auc_score([0] * 20 + [1] * 5, [*-known, *-ood]
                         ) == pytest.approx(found['auroc'])


def test_numbers_of_a_run_and_their_rows():
    confidence, correct = random_case(0)
    scores = {'fused': two(confidence / 2 + .5),
              'depth': two(np.ones_like(confidence))}
    labels = np.where(correct, 0, 1)
    ood = {'fused': two([.5, .6, .55]), 'depth': two([1, 1, 1])}
    found = detection_numbers(scores, labels, ood)
    json.dumps(found)
    assert found['misclassification']['fused'] == misclassification(
        scores['fused'], labels)
    assert found['ood']['depth'] == out_of_distribution(
        scores['depth'], ood['depth'])
    assert found['ood']['depth']['auroc'] == .5
    coverage, risk = found['curves']['risk_coverage']
    assert np.mean(risk) == pytest.approx(
        found['misclassification']['fused']['aurc'])
    for name in ('roc', 'roc_ood'):
        false, true = found['curves'][name]
        assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    without = detection_numbers(scores, labels)
    assert without['ood'] == {} and 'roc_ood' not in without['curves']
    rows = detection_rows({'A': found, 'B': found})
    assert [(r['run'], r['output']) for r in rows] == [
        ('A', 'fused'), ('A', 'depth'), ('B', 'fused'), ('B', 'depth')]
    assert list(rows[0]) == [
        'run', 'output', 'clips', 'accuracy', 'aurc', 'auroc', 'fpr95',
        'known_clips', 'ood_clips', 'ood_auroc', 'ood_fpr95',
        'ood_fpr95_ood_positive']
    assert 'ood_auroc' not in detection_rows({'A': without})[0]


def test_an_output_that_foreign_clips_are_without():
    """The learnt set has 'depth', the foreign one has not."""
    scores = {name: two([.9, .6, .7]) for name in ('fused', 'depth')}
    rows = detection_rows({'A': detection_numbers(
        scores, np.zeros(3), {'fused': two([.5, .6])})})
    fused, depth = ([cell.strip() for cell in line.split('|')[2:-1]]
                    for line in detection_table(rows).splitlines()[2:])
    assert depth[0] == 'depth' and depth[-3:] == ['-'] * 3
    assert fused[0] == 'fused' and fused[-3] == '91.7'  # 5.5 of 6 pairs


def test_table_in_the_units_of_papers():
    rows = detection_rows({'A': detection_numbers(
        {'fused': np.array([[.9, .1], [.6, .4], [.3, .7], [.55, .45]]),
         'depth': np.eye(2)[[0, 1, 1, 1]]}, np.array([0, 1, 1, 1]))})
    cells = [[cell.strip() for cell in line.split('|')[1:-1]]
             for line in detection_table(rows).splitlines()]
    assert cells[0] == ['run', 'output', 'top-1', 'AURC x 1000', 'AUROC',
                        'FPR95']
    assert cells[2] == ['A', 'fused', '50.0', '208.3', '100.0', '0.0']
    assert cells[3] == ['A', 'depth', '100.0', '0.0', '-', '-']


def test_picture(tmp_path):
    confidence, correct = random_case(0)
    labels = np.where(correct, 0, 1)
    found = detection_numbers({'fused': two(confidence / 2 + .5)}, labels,
                              {'fused': two([.5, .6, .55])})
    right = detection_numbers({'fused': two(confidence / 2 + .5)},
                              np.zeros(40))  # no ROC of its errors
    shapes = []
    for name, runs in (('both', {'A': found, 'B': right}),
                       ('one', {'B': right})):
        detection.plot(dict(runs=runs), tmp_path / f'{name}.png')
        picture = imread(tmp_path / f'{name}.png')[..., :3]
        assert picture.std() > .02
        shapes.append(picture.shape[1])
    assert shapes[0] == 3 * shapes[1]


def test_long_curves_are_thinned():
    rng = np.random.default_rng(0)
    scores = two(rng.uniform(.5, 1, 3000))
    curves = detection_numbers(
        {'fused': scores}, rng.integers(0, 2, 3000))['curves']
    coverage, risk = curves['risk_coverage']
    assert len(coverage) == len(risk) == 200
    assert coverage[0] == 1 / 3000 and coverage[-1] == 1
