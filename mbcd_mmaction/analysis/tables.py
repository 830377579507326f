"""Markdown tables of experiments' results."""
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

__all__ = [
    'demo_table', 'markdown', 'mean_std', 'outputs_of', 'results_page'
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


def results_page(results: Sequence[Mapping], methods: Mapping[str, str],
                 command: str) -> str:
    """A page of tables: unseen targets, sources, and each modality.

    Args:
        results (Sequence[Mapping]): What ``run_experiment`` returned.
        methods (Mapping[str, str]): Folder of configs to printed name; rows
            follow its order.
        command (str): Printed as the command that makes the page.
    """
    seeds = sorted({r['seed'] for r in results})
    targets = sorted({r['target'] for r in results})
    outputs = outputs_of(results[0]['target_metrics'])
    domain_header = ['method', *targets, 'average']
    output_header = ['method', *outputs]

    def by_domain(part: str) -> str:
        return markdown(domain_header, [
            [name, *[mean_std(_scores(results, method, t, part, 'acc/top1'))
                     for t in targets],
             mean_std(_averages(results, method, part, 'acc/top1'))]
            for method, name in methods.items()
            if any(r['method'] == method for r in results)
        ])

    def by_output(part: str) -> str:
        return markdown(output_header, [
            [name, *[mean_std(_averages(results, method, part, key))
                     for key in outputs.values()]]
            for method, name in methods.items()
            if any(r['method'] == method for r in results)
        ])

    sections = [
        '# Results on the mini set', f'Made by `{command}`.',
        f'Top-1 (%), mean ± standard deviation over {len(seeds)} seeds. Each '
        'column is the domain that is unseen in training; the checkpoint is '
        'the best on the validation split of the other two.',
        '## Unseen target, fused', by_domain('target_metrics'),
        '## Source validation, fused (selection)',
        by_domain('source_metrics'),
        '## Unseen target, each output, average of the targets',
        by_output('target_metrics'),
        '## Source validation, each output, average of the targets',
        by_output('source_metrics'),
        '## Unseen target, fused, cell by cell (target and seed)',
        markdown(['pair', 'better', 'equal', 'worse', 'mean difference'],
                 _pairs(results, methods))
    ]
    return '\n\n'.join(sections) + '\n'


def _pairs(results: Sequence[Mapping],
           methods: Mapping[str, str]) -> list[list[str]]:
    """How often, and by how much, each method beats those before it."""
    scores = {(r['method'], r['target'], r['seed']):
              r['target_metrics']['acc/top1'] for r in results}
    present = [m for m in methods if any(key[0] == m for key in scores)]
    rows = []
    for i, one in enumerate(present):
        for other in present[:i]:
            gaps = [value - scores[(other, *key[1:])]
                    for key, value in scores.items() if key[0] == one]
            rows.append([
                f'{methods[one]} to {methods[other]}',
                str(sum(gap > 0 for gap in gaps)),
                str(sum(gap == 0 for gap in gaps)),
                str(sum(gap < 0 for gap in gaps)),
                f'{100 * fmean(gaps):+.1f}'
            ])
    return rows


def _scores(results: Sequence[Mapping], method: str, target: str, part: str,
            key: str) -> list[float]:
    """One score a seed."""
    return [r[part][key] for r in results
            if r['method'] == method and r['target'] == target]


def _averages(results: Sequence[Mapping], method: str, part: str,
              key: str) -> list[float]:
    """One average over the targets a seed."""
    seeds = sorted({r['seed'] for r in results})
    return [
        fmean(r[part][key] for r in results
              if r['method'] == method and r['seed'] == seed)
        for seed in seeds
    ]
