"""The metric against scikit-learn, on invented predictions."""
import json
import logging

import numpy as np
import pytest
import torch
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    top_k_accuracy_score,
)

from mbcd_mmaction.evaluation import MultiModalAccMetric

CLASSES = 6
NAMES = ('video', 'audio')


def make_predictions(num_clips=60, seed=0, domains=('D1', 'D2')):
    """Random scores; labels that they often hit."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (num_clips, ), generator=generator)
    samples = []
    for i, label in enumerate(labels):
        def score(label=label):
            logits = torch.randn(CLASSES, generator=generator)
            logits[label] += 1.5
            return logits.softmax(0)
        sample = ActionDataSample().set_gt_label(int(label))
        sample.set_metainfo(dict(domain=domains[i % len(domains)]))
        sample.set_pred_score(score())
        sample.set_field({m: score() for m in NAMES}, 'modality_scores')
        samples.append(sample)
    return samples


def evaluate(samples, batch_size=7, **kwargs):
    """As the test loop does: batches of dicts, then all of them."""
    evaluator = Evaluator(MultiModalAccMetric(**kwargs))
    for start in range(0, len(samples), batch_size):
        evaluator.process(samples[start:start + batch_size])
    return evaluator.evaluate(len(samples))


def expected_of(samples, modality=None):
    labels = [int(s.gt_label) for s in samples]
    scores = np.stack([
        (s.pred_score if modality is None else
         s.modality_scores[modality]).numpy() for s in samples])
    return labels, scores


# a class that is only predicted: the case that is wanted
pytestmark = pytest.mark.filterwarnings('ignore:y_pred contains classes')


def check(metrics, lead, samples, modality=None):
    labels, scores = expected_of(samples, modality)
    predicted = scores.argmax(1)
    assert metrics[f'{lead}top1'] == pytest.approx(
        accuracy_score(labels, predicted), abs=1e-12)
    assert metrics[f'{lead}mean1'] == pytest.approx(
        balanced_accuracy_score(labels, predicted), abs=1e-12)


def test_equals_scikit_learn():
    samples = make_predictions()
    metrics = evaluate(samples)
    assert 0.3 < metrics['acc/top1'] < 0.95  # neither trivial
    check(metrics, 'acc/', samples)
    for m in NAMES:
        check(metrics, f'acc/{m}/', samples, m)
    for domain in ('D1', 'D2'):
        own = [s for s in samples if s.domain == domain]
        check(metrics, f'acc/{domain}/', own)
        for m in NAMES:
            check(metrics, f'acc/{domain}/{m}/', own, m)
    leads = ['', 'D1/', 'D2/']
    leads += [f'{lead}{m}/' for lead in leads for m in NAMES]
    assert set(metrics) == {
        'acc/num_clips', 'acc/num_skipped',
        *(f'acc/{lead}{k}' for lead in leads for k in ('top1', 'mean1'))}
    assert metrics['acc/num_clips'] == 60
    assert metrics['acc/num_skipped'] == 0


def test_top_k():
    samples = make_predictions()
    metrics = evaluate(samples, topk=(1, 3))
    labels, scores = expected_of(samples)
    for k in (1, 3):
        assert metrics[f'acc/top{k}'] == pytest.approx(
            top_k_accuracy_score(labels, scores, k=k,
                                 labels=range(CLASSES)))
    assert metrics['acc/top3'] > metrics['acc/top1']


def test_by_hand():
    """Clips of class 0, 0, 0, 1; the last and one other are hit."""
    samples = []
    for label, predicted in [(0, 0), (0, 1), (0, 2), (1, 1)]:
        sample = ActionDataSample().set_gt_label(label)
        sample.set_pred_score(torch.eye(3)[predicted])
        samples.append(sample)
    metrics = evaluate(samples)
    assert metrics == {
        'acc/top1': 0.5,
        'acc/mean1': pytest.approx((1 / 3 + 1) / 2),  # class 2 has no clip
        'acc/num_clips': 4,
        'acc/num_skipped': 0
    }


def test_classes_absent_from_a_domain():
    """Predicting a class that the domain lacks is an error, not a class."""
    samples = make_predictions()
    for s in samples:
        if s.domain == 'D2' and int(s.gt_label) in (1, 4):
            s.set_metainfo(dict(domain='D1'))
    own = [s for s in samples if s.domain == 'D2']
    labels, scores = expected_of(own)
    assert {1, 4} & set(scores.argmax(1)) and not {1, 4} & set(labels)
    metrics = evaluate(samples)
    hits = scores.argmax(1) == np.array(labels)
    recalls = [hits[np.array(labels) == c].mean() for c in set(labels)]
    assert metrics['acc/D2/mean1'] == pytest.approx(np.mean(recalls))


def test_clips_without_a_modality():
    """A modality is scored over the clips that have it."""
    samples = make_predictions()
    for s in samples[::3]:
        scores = dict(s.modality_scores)
        del scores['audio']
        s.set_field(scores, 'modality_scores')
    metrics = evaluate(samples)
    having = [s for s in samples if 'audio' in s.modality_scores]
    assert len(having) == 40
    check(metrics, 'acc/', samples)
    check(metrics, 'acc/audio/', having, 'audio')
    check(metrics, 'acc/video/', samples, 'video')
    check(metrics, 'acc/D2/audio/',
          [s for s in having if s.domain == 'D2'], 'audio')


def test_a_domain_without_a_modality():
    samples = make_predictions()
    for s in samples:
        if s.domain == 'D2':
            s.set_field({'video': s.modality_scores['video']},
                        'modality_scores')
    metrics = evaluate(samples)
    assert 'acc/D1/audio/top1' in metrics
    assert 'acc/D2/audio/top1' not in metrics
    assert 'acc/D2/video/top1' in metrics


def test_without_domains_or_modalities():
    samples = make_predictions()
    plain = []
    for s in samples:
        one = ActionDataSample().set_gt_label(int(s.gt_label))
        plain.append(one.set_pred_score(s.pred_score))
    metrics = evaluate(plain)
    assert set(metrics) == {'acc/top1', 'acc/mean1', 'acc/num_clips',
                            'acc/num_skipped'}
    check(metrics, 'acc/', samples)


class Heard(logging.Handler):

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def heard():
    """Warnings that go to MMEngine's current logger."""
    logger = MMLogger.get_instance('multimodal_acc')
    handler = Heard()
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def test_skipped_clips_are_counted_beside_the_score(heard):
    samples = make_predictions()
    assert 'acc/num_skipped' in evaluate(samples) and not heard
    for s in samples[:9]:
        s.set_metainfo(dict(skipped=True))
    metrics = evaluate(samples)
    read = samples[9:]
    assert metrics['acc/num_clips'] == 51
    assert metrics['acc/num_skipped'] == 9
    check(metrics, 'acc/', read)
    check(metrics, 'acc/D1/audio/', [s for s in read if s.domain == 'D1'],
          'audio')
    assert len(heard) == 1 and '9 of 60' in heard[0]


def test_a_domain_that_was_skipped_whole():
    samples = make_predictions()
    for s in samples:
        s.set_metainfo(dict(skipped=s.domain == 'D2'))
    metrics = evaluate(samples)
    assert 'acc/D1/top1' in metrics and 'acc/D2/top1' not in metrics


def test_all_skipped_is_an_error():
    samples = make_predictions()
    for s in samples:
        s.set_metainfo(dict(skipped=True))
    with pytest.raises(ValueError, match='no clip to score: all 60'):
        evaluate(samples)


def test_python_numbers_alone():
    samples = make_predictions()
    metrics = evaluate(samples)
    for name, value in metrics.items():
        assert type(value) is float, name
    assert json.loads(json.dumps(metrics)) == metrics


def test_ties_go_to_the_class_that_pred_label_names():
    """top1 and mean1 count the same predictions; argmax takes the first."""
    samples = []
    for label in range(CLASSES):
        sample = ActionDataSample().set_gt_label(label)
        sample.set_pred_score(torch.full((CLASSES, ), 1 / CLASSES))
        sample.set_pred_label(sample.pred_score.argmax(-1))
        samples.append(sample)
    metrics = evaluate(samples, topk=(1, 2))
    assert int(samples[0].pred_label) == 0
    assert metrics['acc/top1'] == metrics['acc/mean1']
    assert metrics['acc/top1'] == pytest.approx(1 / CLASSES)
    assert metrics['acc/top2'] == pytest.approx(2 / CLASSES)
    assert evaluate(samples[:1])['acc/top1'] == 1.0
    assert evaluate(samples[-1:])['acc/top1'] == 0.0


@pytest.mark.parametrize('score,error,message', [
    ({'video': torch.ones(3)}, TypeError, 'mapping'),
    (torch.ones(2, 3), ValueError, r'\(2, 3\)'),
    (torch.tensor([0.5, float('nan'), 0.2]), ValueError, 'nan'),
])
def test_what_is_no_score(score, error, message):
    metric = MultiModalAccMetric()
    with pytest.raises(error, match=message):
        metric.process(None, [dict(pred_score=score,
                                   gt_label=torch.tensor([1]))])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16,
                                   torch.float64])
def test_scores_of_any_precision(dtype):
    metric = MultiModalAccMetric()
    metric.process(None, [dict(
        pred_score=torch.tensor([0.25, 0.75], dtype=dtype),
        gt_label=torch.tensor([1]), domain='D1')])
    assert metric.evaluate(1)['acc/D1/top1'] == 1.0


def test_from_a_config_with_another_prefix():
    metric = METRICS.build(dict(type='MultiModalAccMetric', prefix='target'))
    metric.process(None, [dict(pred_score=torch.tensor([0.25, 0.75]),
                               gt_label=torch.tensor([1]))])
    assert metric.evaluate(1)['target/top1'] == 1.0
