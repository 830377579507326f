"""Markdown tables of experiments' results."""
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

__all__ = [
    'demo_table', 'markdown', 'mean_std', 'outputs_of'
]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]],
             left: Sequence[int] = (0, )) -> str:
    """A Markdown table, aligned so that it reads well as text too.

    Args:
        header (Sequence[str]): Titles of the columns.
        rows (Sequence[Sequence[str]]): As long as the header.
        left (Sequence[int]): Columns aligned on the left; the others are on
            the right. Defaults to the first.
    """
    table = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = [
        '| ' + ' | '.join(
            cell.ljust(w) if i in left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))) +
        ' |' for row in table
    ]
    rule = ['-' * w if i in left else '-' * (w - 1) + ':'
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
    parts = [key.split('/') for key in metrics if key.endswith('/top1')]
    # acc/DOMAIN/MODALITY/top1 tells domains from modalities
    domains = {part[1] for part in parts if len(part) == 4}
    keys = {'fused': 'acc/top1'}
    keys.update((part[1], '/'.join(part)) for part in parts
                if len(part) == 3 and part[1] not in domains)
    return keys


def demo_table(results: Mapping[str, Mapping]) -> str:
    """Methods by outputs: source validation and unseen target, top-1 %.

    Args:
        results (Mapping[str, Mapping]): Method's name to what
            ``run_experiment`` returned.
    """
    outputs = outputs_of(next(iter(results.values()))['target_metrics'])
    header = ['method', 'epoch']
    header += [f'source {name}' for name in outputs]
    header += [f'target {name}' for name in outputs]
    rows = []
    for method, result in results.items():
        row = [method, str(result['epoch'])]
        for part in ('source_metrics', 'target_metrics'):
            row += [mean_std([result[part][key]])
                    for key in outputs.values()]
        rows.append(row)
    return markdown(header, rows)
