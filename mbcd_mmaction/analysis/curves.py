"""Accuracy over the epochs of a training, on sources and target (Fig. 5)."""
from collections.abc import Mapping
from typing import Any

from .scalars import Scalars, best_epoch
from .tables import outputs_of

__all__ = ['accuracy_curves', 'curve_rows']


def accuracy_curves(
        scalars: Scalars,
        targets: Mapping[int, Mapping[str, float]] | None = None
) -> dict[str, Any]:
    """What a training logged of its sources, and what is known of the target.

    The target side is for the eye alone: the checkpoint is selected by the
    sources, here as everywhere.

    Args:
        scalars (Scalars): Of the training.
        targets (Mapping, optional): Epoch to top-1 on the target in [0, 1]
            by output, of those epochs whose checkpoint was tested.

    Returns:
        dict: ``source`` and ``target``, each with ``epochs`` and ``top1``,
        output ('fused' or a modality) to a list of the same length;
        ``selected``, the epoch that the sources select.

    Raises:
        ValueError: Nothing was validated.
    """
    selected, best = best_epoch(scalars)
    outputs = outputs_of(best)
    epochs = sorted(targets or {})
    return dict(
        source=dict(
            epochs=[row['step'] for row in scalars.val],
            top1={output: [row[key] for row in scalars.val]
                  for output, key in outputs.items()}),
        target=dict(
            epochs=epochs,
            top1={output: [targets[epoch][output] for epoch in epochs]
                  for output in outputs
                  if epochs and output in targets[epochs[0]]}),
        selected=selected)


def curve_rows(runs: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """A row for each run, part and epoch.

    Args:
        runs (Mapping): Run to what :func:`accuracy_curves` returned.

    Returns:
        list[dict]: ``run``, ``part`` ('source' or 'target'), ``epoch``,
        ``selected`` (bool) and top-1 in [0, 1] of each output of any run,
        None where a run is without.
    """
    outputs = dict.fromkeys(output for found in runs.values()
                            for output in found['source']['top1'])
    return [
        dict(run=run, part=part, epoch=epoch,
             selected=epoch == found['selected'],
             **{output: found[part]['top1'][output][i]
                if output in found[part]['top1'] else None
                for output in outputs})
        for run, found in runs.items() for part in ('source', 'target')
        for i, epoch in enumerate(found[part]['epochs'])
    ]
