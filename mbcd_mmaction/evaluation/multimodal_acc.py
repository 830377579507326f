"""Accuracy, fused and per modality, over all clips and per domain."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

__all__ = ['MultiModalAccMetric']


@METRICS.register_module()
class MultiModalAccMetric(BaseMetric):
    """Top-k and mean-class accuracy of fused and uni-modal scores, in [0, 1].

    Keys, with the prefix 'acc': ``acc/top1`` and ``acc/mean1`` (fused, all
    clips; the key for ``save_best``), ``acc/video/top1`` (a modality),
    ``acc/D2/top1`` (a domain), ``acc/D2/video/top1`` (both), and
    ``acc/num_clips``, ``acc/num_skipped``. A clip that could not be read and
    was skipped counts in the last alone. All values are Python floats.

    Args:
        topk (Sequence[int]): The k of top-k. Defaults to (1, ).
        collect_device (str): As in mmengine's BaseMetric.
        prefix (str, optional): Replaces 'acc'.
    """

    default_prefix = 'acc'

    def __init__(self,
                 topk: Sequence[int] = (1, ),
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep what the scores of one batch need.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): Predictions with ``pred_score``
                (K,), ``gt_label`` (1,) and, if known, ``modality_scores``,
                ``domain`` and ``skipped``.
        """
        for sample in data_samples:
            scores = {'': sample['pred_score']}
            scores.update(sample.get('modality_scores') or {})
            self.results.append(
                dict(
                    label=int(sample['gt_label']),
                    domain=sample.get('domain'),
                    skipped=bool(sample.get('skipped', False)),
                    scores={m: _to_numpy(s) for m, s in scores.items()}))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Score all clips, then each domain.

        Raises:
            ValueError: If no clip is left to score.
        """
        read = [r for r in results if not r['skipped']]
        skipped = len(results) - len(read)
        if not read:
            raise ValueError(f'no clip to score: all {skipped} were skipped')
        if skipped:
            print_log(
                f'{skipped} of {len(results)} clips could not be read and '
                f'are not in the score ({len(read)} clips)', 'current', 30)
        metrics = self._scores_of(read)
        domains = sorted({r['domain'] for r in read if r['domain']})
        for domain in domains:
            own = [r for r in read if r['domain'] == domain]
            metrics.update((f'{domain}/{name}', value)
                           for name, value in self._scores_of(own).items())
        metrics['num_clips'] = float(len(read))
        metrics['num_skipped'] = float(skipped)
        return metrics

    def _scores_of(self, results: list[dict]) -> dict[str, float]:
        """Fused and uni-modal accuracies of some clips.

        A modality is scored over the clips that have it.
        """
        metrics = {}
        outputs = dict.fromkeys(m for r in results for m in r['scores'])
        for output in outputs:
            having = [r for r in results if output in r['scores']]
            values = self._accuracies([r['scores'][output] for r in having],
                                      [r['label'] for r in having])
            lead = f'{output}/' if output else ''
            metrics.update((lead + k, v) for k, v in values.items())
        return metrics

    def _accuracies(self, scores: list[np.ndarray],
                    labels: list[int]) -> dict[str, float]:
        metrics = {
            f'top{k}': _top_k_accuracy(scores, labels, k)
            for k in self.topk
        }
        metrics['mean1'] = _mean_class_accuracy(scores, labels)
        return metrics


def _top_k_accuracy(scores: list[np.ndarray], labels: list[int],
                    k: int) -> float:
    """Share of the clips whose label is among the k highest scores.

    Of equal scores the first class wins, as in ``pred_label``; in MMAction2's
    function the last one does.
    """
    ranked = np.argsort(-np.stack(scores), axis=1, kind='stable')[:, :k]
    hits = (ranked == np.asarray(labels)[:, None]).any(axis=1)
    return float(hits.mean())


def _mean_class_accuracy(scores: list[np.ndarray],
                         labels: list[int]) -> float:
    """Mean recall of the classes that occur among the labels.

    MMAction2's function also counts a class that is only predicted, as 0;
    a small domain without some class would be punished for that.
    """
    hits = np.argmax(scores, axis=1) == np.asarray(labels)
    return float(
        np.mean([hits[np.equal(labels, c)].mean() for c in set(labels)]))


def _to_numpy(score: Any) -> np.ndarray:
    """A score (K,) as float64, so that ties do not depend on the device."""
    if isinstance(score, Mapping):
        raise TypeError('a score must be one tensor (K,), got a mapping with '
                        f'keys {list(score)}')
    if isinstance(score, torch.Tensor):
        score = score.detach().cpu().double().numpy()
    score = np.asarray(score, dtype=np.float64)
    if score.ndim != 1:
        raise ValueError(
            f'a score must be one tensor (K,), got shape {score.shape}: '
            "heads with average_clips=None return every view's")
    if np.isnan(score).any():
        raise ValueError(f'a score holds nan: {score}; the model has '
                         'diverged, or its checkpoint has')
    return score
