"""Read the records of runs that a benchmark has appended, one a line."""
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

__all__ = ['Records', 'Run', 'identity', 'read_records']

# What each line must have, and what is said where it has something else.
TEXTS = ('dataset', 'method', 'variant', 'target')
LISTS = ('modalities', 'sources')
METRICS = ('source_metrics', 'target_metrics')


@dataclass(frozen=True)
class Run:
    """One training and its test, or the error that ended it.

    Attributes:
        dataset (str): 'epic', 'hac', 'mini' or a set of one's own.
        method (str): Folder of its config, e.g. 'mbcd'.
        variant (str): What its options change, '' for nothing.
        modalities (tuple[str]): In the order of the model.
        sources (tuple[str]): Domains that were trained on.
        target (str): Domain that was tested on.
        seed (int): Of weights, data order and all draws.
        source_metrics (Mapping[str, float]): Validation on the sources of the
            selected epoch; shares in [0, 1]. Empty where the run failed.
        target_metrics (Mapping[str, float]): The test, in the same keys.
        error (str | None): What a failed run said last.
        fingerprint (str): Of its resolved config and seed.
        commit (str | None): Of the code that ran.
        versions (Mapping[str, str]): Package to version.
        hours (Mapping[str, float]): 'train' and 'test', wall clock.
        gpus (int | None): Of one run; above 1, so many processes shared the
            batch. None where not said.
        threads (int | None): Of each process; None where not said.
        place (str): File and line, for messages.
    """
    dataset: str
    method: str
    variant: str
    modalities: tuple[str, ...]
    sources: tuple[str, ...]
    target: str
    seed: int
    source_metrics: Mapping[str, float] = field(default_factory=dict)
    target_metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    fingerprint: str = ''
    commit: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    hours: Mapping[str, float] = field(default_factory=dict)
    gpus: int | None = None
    threads: int | None = None
    place: str = ''

    @property
    def identity(self) -> tuple:
        """What a later line of the same replaces."""
        return identity(vars(self))


@dataclass(frozen=True)
class Records:
    """What some files of records hold, in an order of its own.

    Attributes:
        runs (tuple[Run]): Finished, the last of each identity.
        failed (tuple[Run]): The same of runs whose last line is an error.
        superseded (int): Lines that a later one replaced.
        torn (tuple[str]): Files whose last line was cut off in writing.
        files (tuple[str]): As they were named.
    """
    runs: tuple[Run, ...]
    failed: tuple[Run, ...] = ()
    superseded: int = 0
    torn: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def identity(record: Mapping[str, Any]) -> tuple:
    """Which experiment a record is of; sets have no order.

    Args:
        record (Mapping): With the first seven fields of a :class:`Run`.
    """
    return (record['dataset'], record['method'], record['variant'],
            tuple(sorted(record['modalities'])),
            tuple(sorted(record['sources'])), record['target'],
            record['seed'])


def read_records(paths: Sequence[str | Path]) -> Records:
    """Read files of records; later files and lines supersede earlier ones.

    Args:
        paths (Sequence[str | Path]): JSON Lines, as ``tools/benchmark.py``
            appends them.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a line is no record; file and line are named. Only the
            last line of a file may be cut off (no newline, no JSON): that run
            is taken for unfinished.
    """
    latest: dict[tuple, Run] = {}
    lines, torn = 0, []
    for path in paths:
        content = Path(path).read_text(encoding='utf-8').split('\n')
        for number, line in enumerate(content, 1):
            if not line.strip():
                continue
            place = f'{path}, line {number}'
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                if number == len(content):  # no newline after it
                    torn.append(place)
                    continue
                raise ValueError(f'{place}: expected a record in JSON, got '
                                 f'{line[:60]!r} ({error})') from None
            run = _run(record, place)
            latest[run.identity] = run
            lines += 1
    ordered = [latest[key] for key in sorted(latest)]
    return Records(
        runs=tuple(run for run in ordered if run.error is None),
        failed=tuple(run for run in ordered if run.error is not None),
        superseded=lines - len(latest),
        torn=tuple(torn),
        files=tuple(str(path) for path in paths))


def _run(record: Any, place: str) -> Run:
    """Check one line's content and give it its type."""

    def expect(right: bool, what: str, got: Any) -> None:
        if not right:
            raise ValueError(f'{place}: expected {what}, got {got!r}; '
                             'docs/report.md has the fields of a record')

    expect(isinstance(record, dict), 'an object', record)
    failed = 'error' in record
    wanted = [*TEXTS, *LISTS, 'seed', *(() if failed else METRICS)]
    absent = [name for name in wanted if name not in record]
    expect(not absent, f'the fields {wanted}', f'none named {absent}')
    for name in (*TEXTS, *(('error', ) if failed else ())):
        expect(isinstance(record[name], str), f'{name}: a text',
               record[name])
    for name in LISTS:
        value = record[name]
        expect(isinstance(value, list) and value
               and all(isinstance(item, str) for item in value)
               and len(set(value)) == len(value),
               f'{name}: a list of different names', value)
    seed = record['seed']
    expect(isinstance(seed, int) and not isinstance(seed, bool),
           'seed: an integer', seed)
    for name in () if failed else METRICS:
        expect(isinstance(record[name], dict) and 'acc/top1' in record[name],
               f'{name}: an object with acc/top1', record[name])
        for key, value in record[name].items():
            expect(not key.endswith('/top1') or isinstance(value, Real)
                   and 0 <= value <= 1,
                   f'{name}: {key} in [0, 1]', value)
    return Run(
        *(record[name] for name in TEXTS[:3]),
        *(tuple(record[name]) for name in LISTS), record['target'], seed,
        **{name: record[name] for name in (*METRICS, 'error')
           if name in record and not (failed and name in METRICS)},
        fingerprint=record.get('fingerprint') or '',
        commit=record.get('commit'),
        versions=record.get('versions') or {},
        hours=record.get('hours') or {},
        gpus=record.get('gpus'),
        threads=record.get('threads'),
        place=place)
