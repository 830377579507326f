"""Does a model know when it is wrong, or when a clip is foreign to it?

The score of a clip is its maximum softmax probability (MSP, Hendrycks and
Gimpel 2017): the larger, the surer. Clips with larger scores should be those
that are predicted correctly (misclassification detection), and those of the
classes that were learnt (out-of-distribution detection).

- AUROC: chance that a positive clip scores higher than a negative one, a tie
  counting half. 0.5 is chance, 1 is best.
- FPR95: share of the negatives that score at least as high as the threshold
  that at least 95 % of the positives reach. 0 is best.
- AURC (Geifman, Uziel and El-Yaniv 2019): mean error rate over the 1, 2, ...
  N surest clips. 0 is best; at random it is the error rate.
"""
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from .tables import markdown

__all__ = [
    'aurc', 'auroc', 'detection_numbers', 'detection_rows',
    'detection_table', 'fpr_at_tpr', 'max_softmax', 'misclassification',
    'out_of_distribution', 'risk_coverage', 'roc'
]

# Column of the rows to its title in the table, and what it is multiplied by.
_COLUMNS = dict(
    accuracy=('top-1', 100), aurc=('AURC x 1000', 1000),
    auroc=('AUROC', 100), fpr95=('FPR95', 100),
    ood_auroc=('OOD AUROC', 100), ood_fpr95=('OOD FPR95', 100),
    ood_fpr95_ood_positive=('OOD FPR95, OOD positive', 100))


def max_softmax(scores: np.ndarray) -> np.ndarray:
    """The probability of the predicted class: (N, K) to (N,)."""
    return np.asarray(scores, np.float64).max(1)


def risk_coverage(confidence: np.ndarray,
                  correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error rate among the clips that a threshold lets through.

    Clips of equal confidence have no order: what is returned is the mean
    over all of their orders, so that it does not depend on the order in
    which clips are read.

    Args:
        confidence (np.ndarray): (N,), larger is surer.
        correct (np.ndarray): (N,) bool.

    Returns:
        tuple: Coverage n / N and risk (share of errors among the n surest),
        for n = 1 to N, each (N,).

    Raises:
        ValueError: No clips, or of different numbers.
    """
    confidence, wrong = np.asarray(confidence), ~np.asarray(correct, bool)
    if confidence.shape != wrong.shape or not confidence.size:
        raise ValueError(
            'expected the confidence and correctness of the same clips, one '
            f'at least, got {confidence.shape} and {wrong.shape}')
    _, group, sizes = np.unique(-confidence, return_inverse=True,
                                return_counts=True)
    errors = np.bincount(group, wrong) / sizes  # of each tied clip, on average
    counts = np.arange(1, len(wrong) + 1)
    return counts / len(wrong), np.cumsum(np.repeat(errors, sizes)) / counts


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Area under the risk-coverage curve, the mean of the N risks.

    Args:
        confidence (np.ndarray): (N,), larger is surer.
        correct (np.ndarray): (N,) bool.

    Returns:
        float: In [0, 1], lower is better. Published tables show 1000 times
        it.
    """
    return float(risk_coverage(confidence, correct)[1].mean())


def roc(positive: np.ndarray,
        negative: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """False and true positive rate of each threshold, from strict to none.

    Args:
        positive (np.ndarray): (P,) scores of clips that should score high.
        negative (np.ndarray): (N,) scores of those that should not.

    Returns:
        tuple, optional: FPR and TPR; None where either kind is absent, and
        the rates are not defined.
    """
    if not len(positive) or not len(negative):
        return None
    # Kept in between: on a straight piece lie points of other TPR.
    return roc_curve(*_labelled(positive, negative),
                     drop_intermediate=False)[:2]


def auroc(positive: np.ndarray, negative: np.ndarray) -> float | None:
    """Area under the ROC curve, higher is better.

    Args:
        positive, negative (np.ndarray): As for :func:`roc`.

    Returns:
        float, optional: In [0, 1]; None where it is not defined.
    """
    if not len(positive) or not len(negative):
        return None
    return float(roc_auc_score(*_labelled(positive, negative)))


def fpr_at_tpr(positive: np.ndarray, negative: np.ndarray,
               tpr: float = 0.95) -> float | None:
    """FPR at the strictest threshold whose TPR reaches ``tpr``; lower is
    better.

    Args:
        positive, negative (np.ndarray): As for :func:`roc`.
        tpr (float): In (0, 1]. Defaults to 0.95.

    Returns:
        float, optional: In [0, 1]; None where it is not defined.
    """
    rates = roc(positive, negative)
    return None if rates is None else float(
        rates[0][np.argmax(rates[1] >= tpr)])


def misclassification(scores: np.ndarray, labels: np.ndarray) -> dict:
    """Detection of wrong predictions; a correct prediction is positive.

    Args:
        scores (np.ndarray): Probabilities, (N, K).
        labels (np.ndarray): Classes, (N,).

    Returns:
        dict: ``clips`` N, ``accuracy``, ``aurc``, ``auroc`` and ``fpr95``.
        The last two are None where all, or no, predictions are correct.
    """
    confidence = max_softmax(scores)
    correct = np.asarray(scores).argmax(1) == np.asarray(labels)
    sides = confidence[correct], confidence[~correct]
    return dict(
        clips=len(correct),
        accuracy=float(correct.mean()),
        aurc=aurc(confidence, correct),
        auroc=auroc(*sides),
        fpr95=fpr_at_tpr(*sides))


def out_of_distribution(known: np.ndarray, ood: np.ndarray) -> dict:
    """Detection of clips that belong to no class that was learnt.

    Which kind is the positive one changes nothing in AUROC, but FPR95 is
    another number, and both are in use. ``fpr95``: known clips are positive,
    as in ODIN (Liang et al. 2018) and most papers: how many OOD clips are
    let in where 95 % of the known ones are. ``fpr95_ood_positive``: as in
    the code of OpenOOD and MMDG-Bench: how many known clips are turned away
    where 95 % of the OOD ones are.

    Args:
        known (np.ndarray): Probabilities of clips of learnt classes, (N, K).
        ood (np.ndarray): Those of other clips, (M, K).

    Returns:
        dict: ``known_clips`` N, ``ood_clips`` M, ``auroc``, ``fpr95`` and
        ``fpr95_ood_positive``.
    """
    inside, outside = max_softmax(known), max_softmax(ood)
    return dict(
        known_clips=len(inside),
        ood_clips=len(outside),
        auroc=auroc(inside, outside),
        fpr95=fpr_at_tpr(inside, outside),
        fpr95_ood_positive=fpr_at_tpr(-outside, -inside))


def detection_numbers(scores: Mapping[str, np.ndarray],
                      labels: np.ndarray,
                      ood: Mapping[str, np.ndarray] | None = None) -> dict:
    """All numbers of one run, and its curves.

    Args:
        scores (Mapping): Output to probabilities, (N, K) each.
        labels (np.ndarray): Classes, (N,).
        ood (Mapping, optional): Output to probabilities of OOD clips,
            (M, K) each.

    Returns:
        dict: ``misclassification`` and ``ood`` (without OOD clips empty),
        output to what the function of that name returned; ``curves`` of the
        first output, each a pair of lists: ``risk_coverage`` (coverage,
        risk), ``roc`` and ``roc_ood`` (FPR, TPR), those that are defined.
    """
    first = next(iter(scores))
    confidence = max_softmax(scores[first])
    correct = np.asarray(scores[first]).argmax(1) == np.asarray(labels)
    curves = dict(risk_coverage=risk_coverage(confidence, correct),
                  roc=roc(confidence[correct], confidence[~correct]))
    if ood is not None:
        curves['roc_ood'] = roc(confidence, max_softmax(ood[first]))
    return dict(
        misclassification={name: misclassification(values, labels)
                           for name, values in scores.items()},
        ood={name: out_of_distribution(values, ood[name])
             for name, values in scores.items()
             if ood is not None and name in ood},
        curves={name: _thinned(*pair) for name, pair in curves.items()
                if pair is not None})


def detection_rows(runs: Mapping[str, Mapping]) -> list[dict]:
    """A row for each output of each run.

    Args:
        runs (Mapping): Run to what :func:`detection_numbers` returned.

    Returns:
        list[dict]: ``run``, ``output``, the numbers of misclassification,
        and those of OOD detection with 'ood_' before them, where there are
        any: an output that some OOD clip is without has none.
    """
    rows = []
    for run, found in runs.items():
        for output, values in found['misclassification'].items():
            row = dict(run=run, output=output, **values)
            for name, value in found['ood'].get(output, {}).items():
                if name not in ('known_clips', 'ood_clips'):
                    name = f'ood_{name}'
                row[name] = value
            rows.append(row)
    return rows


def detection_table(rows: Sequence[Mapping]) -> str:
    """The rows as Markdown, in the units of published tables.

    Args:
        rows (Sequence[Mapping]): Of :func:`detection_rows`; what is not
            defined is shown as '-'.
    """
    names = [name for name in _COLUMNS if any(name in row for row in rows)]
    return markdown(
        ['run', 'output', *[_COLUMNS[name][0] for name in names]],
        [[row['run'], row['output'],
          *['-' if row.get(name) is None else
            f'{_COLUMNS[name][1] * row[name]:.1f}' for name in names]]
         for row in rows])


def _thinned(x: np.ndarray, y: np.ndarray,
             count: int = 200) -> list[list[float]]:
    """At most ``count`` points of a curve, its ends among them."""
    places = np.unique(np.linspace(0, len(x) - 1, count).round().astype(int))
    return [x[places].tolist(), y[places].tolist()]


def _labelled(positive: np.ndarray,
              negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels, 1 for positive, and scores, as scikit-learn takes them."""
    return (np.repeat([1, 0], [len(positive), len(negative)]),
            np.concatenate([positive, negative]))
