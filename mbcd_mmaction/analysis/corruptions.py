"""Accuracy under corruption: means over severities, and a table."""
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

__all__ = ['corruption_numbers', 'corruption_rows']

Top1 = Mapping[str, float]


def corruption_numbers(
        measured: Iterable[tuple[str, int, Top1]]) -> dict[str, Any]:
    """Sort what was measured, and take the means.

    ImageNet-C divides errors by those of AlexNet, which has no like here:
    the means are of accuracy itself, over the severities of a corruption
    and then over the corruptions.

    Args:
        measured (Iterable): The condition's name ('' for clean), the
            severity (0 for clean), and top-1 in [0, 1] by output. Clean is
            first; each condition has all severities, mildest first.

    Returns:
        dict: ``clean``, output to top-1; ``severities``; ``corrupted``,
        condition to output to a list by severity; ``mean``, condition to
        output to their mean; ``mean_corrupted``, output to the mean of
        those.

    Raises:
        ValueError: The clean clips are not first.
    """
    (name, severity, clean), *rest = measured
    if name or severity:
        raise ValueError("expected the clean clips first, ('', 0, ...), got "
                         f'{(name, severity)}')
    corrupted: dict[str, dict[str, list[float]]] = {}
    for condition, _, top1 in rest:
        lists = corrupted.setdefault(condition, {})
        for output, value in top1.items():
            lists.setdefault(output, []).append(value)
    means = {condition: {output: fmean(values)
                         for output, values in lists.items()}
             for condition, lists in corrupted.items()}
    return dict(
        clean=dict(clean),
        severities=sorted({severity for _, severity, _ in rest}),
        corrupted=corrupted,
        mean=means,
        mean_corrupted={output: fmean(m[output] for m in means.values())
                        for output in clean} if means else {})


def corruption_rows(runs: Mapping[str, Mapping]) -> list[dict[str, Any]]:
    """A row for clean clips, each condition and severity, and each mean.

    Args:
        runs (Mapping): Run to what :func:`corruption_numbers` returned.

    Returns:
        list[dict]: ``run``, ``corruption`` ('clean' and 'all' too),
        ``severity`` (0, 1 to 5 or 'mean') and top-1 in [0, 1] by output.
    """
    rows = []
    for run, found in runs.items():
        def add(corruption: str, severity: Any, top1: Mapping,
                run: str = run, outputs: Mapping = found['clean']) -> None:
            rows.append(dict(run=run, corruption=corruption,
                             severity=severity,
                             **{name: top1[name] for name in outputs}))

        add('clean', 0, found['clean'])
        for condition, lists in found['corrupted'].items():
            for i, severity in enumerate(found['severities']):
                add(condition, severity,
                    {output: values[i] for output, values in lists.items()})
            add(condition, 'mean', found['mean'][condition])
        if found['mean_corrupted']:
            add('all', 'mean', found['mean_corrupted'])
    return rows
