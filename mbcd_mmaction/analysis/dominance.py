"""Dominance ratio (Eq. 3) and drop probability (Eq. 4) over a training."""
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .scalars import Scalars

__all__ = ['dominance_numbers', 'dominance_rows']

QUANTITIES = ('dominance_ratio', 'drop_prob')


def dominance_numbers(scalars: Scalars) -> dict[str, Any]:
    """The logged values of each modality, and their means.

    A logged value is that of one batch.

    Args:
        scalars (Scalars): Of a training.

    Returns:
        dict: ``steps``; ``dominance_ratio`` and ``drop_prob``, modality to
        the values at these steps, empty where nothing of the kind was
        logged (no modality dropout); ``mean``, the same names to modality
        to the mean over all logged steps.

    Raises:
        ValueError: The ratio was not logged.
    """
    series = {name: _series(scalars.train, f'{name}_') for name in QUANTITIES}
    if not series['dominance_ratio']:
        logged = sorted(scalars.train[0]) if scalars.train else 'no steps'
        raise ValueError(
            'expected dominance_ratio_<modality> in the log, as '
            'MultiModalRecognizer writes it for two modalities or more, got '
            f'{logged}')
    return dict(
        steps=[row['step'] for row in scalars.train],
        **series,
        mean={name: {modality: fmean(values)
                     for modality, values in modalities.items()}
              for name, modalities in series.items()})


def dominance_rows(runs: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """A row for each run, step and modality.

    Args:
        runs (Mapping): Run to what :func:`dominance_numbers` returned.

    Returns:
        list[dict]: ``run``, ``step``, ``modality``, ``dominance_ratio`` and
        ``drop_prob`` (None without modality dropout).
    """
    return [
        dict(run=run, step=step, modality=modality,
             dominance_ratio=ratios[i],
             drop_prob=found['drop_prob'].get(
                 modality, [None] * len(ratios))[i])
        for run, found in runs.items()
        for i, step in enumerate(found['steps'])
        for modality, ratios in found['dominance_ratio'].items()
    ]


def _series(rows: Sequence[Mapping], lead: str) -> dict[str, list[float]]:
    """Modality to its values, of what every row has."""
    names = [key for key in (rows[0] if rows else ()) if
             key.startswith(lead) and all(key in row for row in rows)]
    return {name[len(lead):]: [row[name] for row in rows] for name in names}
