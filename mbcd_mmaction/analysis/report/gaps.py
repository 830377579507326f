"""What is not there: missing cells, failed runs, runs without a table."""
from collections.abc import Sequence

from ..records import Records, Run
from .document import Block, Heading, Items, Table, Text, join, plain
from .layout import METHODS, Group, Layout, Row

__all__ = ['failed_runs', 'missing_cells', 'outside_runs', 'reasons']


def missing_cells(layouts: Sequence[Layout],
                  records: Records) -> list[Block]:
    """For each table what would fill it."""
    done = {run.identity for run in records.runs}
    failed = {run.identity for run in records.failed}
    empty, rows = [], []
    for layout in layouts:
        if not layout.all_identities() & (done | failed):
            empty.append(layout.title)
            continue
        if layout.part == 'source':  # the very runs of another table
            continue
        for group in layout.groups:
            lacking: dict[str, list[str]] = {}
            for row in layout.rows:
                text = _lacking(layout, group, row, done, failed)
                if text:
                    lacking.setdefault(text, []).append(row.label)
            rows += [(layout.title, group.title, join(labels), text)
                     for text, labels in lacking.items()]
    blocks: list[Block] = []
    if empty:
        blocks += [Text('Tables without a single run:'), Items(tuple(empty))]
    if rows:
        blocks.append(Table('Cells to be run.', plain(
            'table', 'modalities', 'method', 'missing'), tuple(rows),
            words=(1, 2, 3)))
    return blocks or [Text('None: every table is whole.' if layouts
                           else 'No table has a run.')]


def _lacking(layout: Layout, group: Group, row: Row, done: set[tuple],
             failed: set[tuple]) -> str:
    """'D1: seed 2; D3: seeds 0 and 1 (failed: 1)'; '' for nothing."""
    texts, cells = [], 0
    for split in group.splits:
        absent = {identity[-1]: identity in failed for identity
                  in layout.identities(row, group, split)
                  if identity not in done}
        cells += len(absent)
        if absent:
            bad = [str(seed) for seed, is_failed in absent.items()
                   if is_failed]
            texts.append(
                f'{split.title}: seed{"s" if len(absent) > 1 else ""} '
                f'{join([str(seed) for seed in absent])}'
                + ('' if not bad else ' (failed)' if len(bad) == len(absent)
                   else f' (failed: {join(bad)})'))
    if cells == len(group.splits) * len(layout.seeds) and not any(
            'failed' in text for text in texts):
        return f'all {cells} runs'
    return '; '.join(texts)


def failed_runs(failed: Sequence[Run]) -> list[Block]:
    """What each said last, and where the rest of it is."""
    if not failed:
        return [Text('None.')]
    return [Table(
        'Runs whose last record is an error, and the last line of it.',
        plain('set', 'method', 'modalities', 'split', 'seed', 'error',
              'record'),
        tuple((run.dataset, method_text(run), ' + '.join(run.modalities),
               split_text(run), str(run.seed), _last_line(run.error),
               run.place) for run in failed), words=(1, 2, 3, 5, 6))]


def outside_runs(layouts: Sequence[Layout],
                 runs: Sequence[Run]) -> list[Block]:
    """Those that no table is made of, the seeds of each together."""
    shown = set().union(*(layout.all_identities() for layout in layouts))
    seeds: dict[tuple[str, ...], list[str]] = {}
    for run in runs:
        if run.identity not in shown:
            seeds.setdefault(
                (run.dataset, method_text(run), ' + '.join(run.modalities),
                 split_text(run)), []).append(str(run.seed))
    return [] if not seeds else [Heading('Other runs'), Table(
        'Runs that belong to none of the tables above.',
        plain('set', 'method', 'modalities', 'split', 'seeds'),
        tuple((*key, join(found)) for key, found in seeds.items()),
        words=(1, 2, 3, 4))]


def method_text(run: Run) -> str:
    """'MBCD', 'MBCD (ema-amd)'."""
    name = METHODS.get(run.method, run.method)
    return f'{name} ({run.variant})' if run.variant else name


def split_text(run: Run) -> str:
    """'D2 + D3 → D1'."""
    return f'{" + ".join(run.sources)} → {run.target}'


def _last_line(error: str | None) -> str:
    lines = (error or '').strip().splitlines()
    return lines[-1].strip() if lines else '(no text)'


def reasons(texts: Sequence[tuple[str, str]]) -> list[Block]:
    """Names and why each is missing, those of one reason together."""
    names: dict[str, list[str]] = {}
    for name, reason in texts:
        if reason:
            names.setdefault(reason, []).append(name)
    return [Items(tuple(f'Missing for {join(found)}: {reason}.'
                        for reason, found in names.items()))] if names else []
