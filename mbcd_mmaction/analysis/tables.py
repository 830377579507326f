"""Markdown tables of experiments' results."""
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

__all__ = ['demo_table', 'markdown', 'mean_std', 'outputs_of']


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned so that it reads well as text too."""
    table = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = [
        '| ' + ' | '.join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))) +
        ' |' for row in table
    ]
    rule = ['-' * w if i == 0 else '-' * (w - 1) + ':'
            for i, w in enumerate(widths)]
    lines.insert(1, '| ' + ' | '.join(rule) + ' |')
    return '\n'.join(lines)


def mean_std(values: Sequence[float]) -> str:
    """Shares in [0, 1] as per cent: '61.3 ± 1.2', or '61.3' for one."""
    text = f'{100 * fmean(values):.1f}'
    return text if len(values) < 2 else (
        f'{text} ± {100 * stdev(values):.1f}')


def outputs_of(metrics: Mapping[str, float]) -> dict[str, str]:
    """'fused' and each modality to its top-1 key in some metrics."""
    domains = {f'D{i}' for i in range(100)}
    keys = {'fused': 'acc/top1'}
    for key in metrics:
        parts = key.split('/')
        if len(parts) == 3 and parts[2] == 'top1' and parts[1] not in domains:
            keys[parts[1]] = key
    return keys


def demo_table(results: Mapping[str, Mapping]) -> str:
    """Methods by outputs: source validation and unseen target, top-1 %.

    Args:
        results (Mapping[str, Mapping]): Method's name to what
            ``run_experiment`` returned.
    """
    outputs = outputs_of(next(iter(results.values()))['target'])
    header = ['method', 'epoch']
    header += [f'source {name}' for name in outputs]
    header += [f'target {name}' for name in outputs]
    rows = []
    for method, result in results.items():
        row = [method, str(result['epoch'])]
        for part in ('source', 'target'):
            row += [mean_std([result[part][key]])
                    for key in outputs.values()]
        rows.append(row)
    return markdown(header, rows)
