"""Where the numbers come from."""
from collections import Counter
from collections.abc import Sequence

from ..records import Records, Run
from .document import Table, join, plain
from .layout import name_of

__all__ = ['provenance_table', 'summary']


def summary(records: Records) -> str:
    """One sentence on what there is."""
    runs = records.runs
    sets = join(sorted({name_of(run.dataset) for run in runs}))
    methods = {(run.method, run.variant) for run in runs}
    seeds = {run.seed for run in runs}
    return (f'{len(runs)} finished runs of {len(methods)} methods and '
            f'variants with {len(seeds)} seeds on {sets or "no set"}; '
            f'{len(records.failed)} failed.')


def provenance_table(records: Records) -> Table:
    """Files, runs, hours, commits, shares of the machine and versions."""
    runs = records.runs
    rows = [
        ('records', ', '.join(records.files)),
        ('finished runs', str(len(runs))),
        ('failed runs', str(len(records.failed))),
        ('superseded lines', str(records.superseded)),
        ('lines cut off in writing', ', '.join(records.torn) or '0'),
    ]
    rows += [(f'hours of {part}', _hours(runs, part))
             for part in ('train', 'test')]
    rows.append(('commit', _counted(Counter(
        run.commit or 'unknown' for run in runs))))
    rows += [
        (title, _counted(Counter(
            'unknown' if (value := getattr(run, name)) is None else str(value)
            for run in runs)))
        for title, name in (('GPUs of a run', 'gpus'),
                            ('threads of a process', 'threads'))
    ]
    rows += [
        (name, _counted(Counter(
            run.versions.get(name) or 'unknown' for run in runs)))
        for name in sorted({name for run in runs for name in run.versions})
    ]
    return Table('What the tables are made of.', plain('what', 'value'),
                 tuple(rows), words=(1, ))


def _hours(runs: Sequence[Run], part: str) -> str:
    """Their sum, and of how many runs where not all say."""
    found = [run.hours[part] for run in runs if part in run.hours]
    text = f'{sum(found):.2f}' if found else 'unknown'
    return text if len(found) in (0, len(runs)) else (
        f'{text} ({len(found)} of {len(runs)} runs)')


def _counted(values: Counter) -> str:
    """'2.13.0', or '2.12.1 (9 of 63 runs), 2.13.0 (54 of 63 runs)'."""
    if len(values) < 2:
        return next(iter(values), '-')
    return ', '.join(f'{value} ({count} of {values.total()} runs)'
                     for value, count in sorted(values.items()))
