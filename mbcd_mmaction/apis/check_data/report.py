"""The result of a check as text and as JSON."""
from collections.abc import Sequence
from typing import Any

from .check import CheckResult
from .findings import KINDS, Finding

_SHOWN = 5


def format_report(result: CheckResult, shown: int = _SHOWN) -> str:
    """Tables of what is there, then what is wrong, most serious first.

    Args:
        result (CheckResult): Of :func:`check`.
        shown (int): Examples of each kind of finding. Defaults to 5.
    """
    parts = [
        _count_tables(result),
        _media_table(result),
        *_finding_lists(result.findings, shown),
        _last_line(result),
    ]
    return '\n\n'.join(part for part in parts if part)


def as_json(result: CheckResult) -> dict[str, Any]:
    """All of a result in types that JSON has."""
    return dict(
        counts=[dict(split=split, domain=domain, label=label, clips=count)
                for (split, domain, label), count in result.counts.items()],
        classes=result.classes,
        media=result.media,
        findings=[dict(item._asdict(), error=item.is_error)
                  for item in result.findings],
        num_clips=result.num_clips,
        num_files=result.num_files,
        num_errors=len(result.errors),
        num_warnings=len(result.warnings),
        seconds=dict(list=result.list_seconds, probe=result.probe_seconds,
                     decode=result.decode_seconds))


def format_table(rows: Sequence[Sequence[object]]) -> str:
    """Columns of text: the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return '\n'.join('  '.join(
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip() for row in cells)


def _count_tables(result: CheckResult) -> str:
    labels = sorted({label for _, _, label in result.counts})
    names = max(result.classes.values(), key=len, default=[])
    heads = [names[label] if 0 <= label < len(names) else label
             for label in labels]
    rows = [('split domain', 'clips', *heads)]
    places = sorted({key[:2] for key in result.counts},
                    key=lambda x: (('train', 'val', 'test').index(x[0]), x))
    for split, domain in places:
        cells = [result.counts.get((split, domain, label), 0)
                 for label in labels]
        rows.append((f'{split:<5} {domain}', sum(cells), *cells))
    return format_table(rows) if result.counts else 'no clips'


def _media_table(result: CheckResult) -> str:
    rows = [('modality', 'files', 'seconds', 'a second (files)')]
    for name, item in result.media.items():
        rates = [f'{rate:g} ({count})'
                 for rate, count in list(item['rates'].items())[:3]]
        if len(item['rates']) > 3:
            rates.append('...')
        rows.append((name, item['files'], f'{item["seconds"]:.0f}',
                     ', '.join(rates) or '-'))
    return format_table(rows) if len(rows) > 1 else ''


def _finding_lists(findings: Sequence[Finding], shown: int) -> list[str]:
    """One paragraph for each kind."""
    parts = []
    for kind in dict.fromkeys(item.kind for item in findings):
        own = [item for item in findings if item.kind == kind]
        level = 'ERROR' if KINDS[kind][0] else 'warning'
        lines = [f'{level}: {kind}, {KINDS[kind][1]}: {len(own)}']
        for item in own[:shown]:
            clips = f' ({item.num_clips} clips)' if item.num_clips > 1 else ''
            place = '/'.join(item.splits)
            lines.append(f'  {place + ": " if place else ""}{item.where}: '
                         f'{item.text}{clips}')
        if len(own) > shown:
            lines.append(f'  and {len(own) - shown} more')
        parts.append('\n'.join(lines))
    return parts


def _last_line(result: CheckResult) -> str:
    seconds = result.list_seconds + result.probe_seconds
    text = (f'{result.num_clips} clips, {result.num_files} files in '
            f'{seconds:.1f} s ({result.num_clips / max(seconds, 1e-9):.0f} '
            'clips a second)')
    if result.decode_seconds is not None:
        rate = result.num_clips / max(result.decode_seconds, 1e-9)
        text += (f'; all read in {result.decode_seconds:.1f} s ({rate:.0f} '
                 'clips a second)')
    return (f'{text}: {len(result.errors)} errors, {len(result.warnings)} '
            'warnings')
