"""The check of a whole set, from a config to a result."""
import hashlib
import itertools
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ...datasets.extraction.workers import (
    Died,
    default_workers,
    map_processes,
)
from .decode import decode_clips
from .findings import Finding
from .listing import Clip, list_clips
from .probe import Media, Task, probe
from .rules import (
    clip_findings,
    file_findings,
    overlap_findings,
    rate_findings,
    source_kind,
    source_paths,
    source_tasks,
)

SPLITS = ('train', 'val', 'test')
# Below this many files, processes take longer to start than to help.
_FEW_FILES = 2000
_CHUNK = 32


@dataclass
class CheckResult:
    """What is in a set and what is wrong with it.

    Attributes:
        counts (dict): Number of clips by (split, domain, label).
        classes (dict[str, list[str]]): Names of the classes by split.
        media (dict): For each modality its number of ``files``, ``rates``
            (how many files have which), ``seconds`` of all of them.
        findings (list[Finding]): Errors first.
        num_clips (int): Clips of all splits.
        num_files (int): Files and folders looked at.
        list_seconds (float): What listing the clips took.
        probe_seconds (float): What looking at files took.
        decode_seconds (float, optional): What reading took; None where it
            was not asked for.
    """
    counts: dict[tuple[str, str, int], int]
    classes: dict[str, list[str]]
    media: dict[str, dict[str, Any]]
    findings: list[Finding]
    num_clips: int
    num_files: int
    list_seconds: float = 0.0
    probe_seconds: float = 0.0
    decode_seconds: float | None = None
    errors: list[Finding] = field(init=False)
    warnings: list[Finding] = field(init=False)

    def __post_init__(self) -> None:
        self.findings = sorted(
            self.findings, key=lambda x: (not x.is_error, x.kind, x.where))
        self.errors = [x for x in self.findings if x.is_error]
        self.warnings = [x for x in self.findings if not x.is_error]


def check(cfg: Config,
          splits: Sequence[str] = SPLITS,
          decode: bool = False,
          content: bool = False,
          workers: int | None = None) -> CheckResult:
    """Look through all datasets of a config.

    Without ``decode`` nothing is decoded: existence, headers, the last
    packets of each video and a few samples of each wav are read.

    Args:
        cfg (Config): A whole config.
        splits (Sequence[str]): Loaders to look at. Defaults to all three.
        decode (bool): Also read each clip through its pipeline. Defaults to
            False.
        content (bool): Also look for files with the same bytes under
            different names. Defaults to False.
        workers (int, optional): Processes. Defaults to None: the cores.

    Returns:
        CheckResult: Everything that was found; a bad file is no exception.
    """
    workers = workers or default_workers()
    init_default_scope(cfg.get('default_scope') or 'mmaction')
    begin = time.perf_counter()
    clips, classes, findings = list_clips(cfg, splits)
    counts = Counter((clip.split, str(clip.record.get('domain')),
                      clip.record['label']) for clip in clips)
    findings += _absent_classes(counts, classes)
    findings += overlap_findings(clips)
    listed = time.perf_counter()
    tasks = source_tasks(clips)
    probes = probe_all(tasks, workers)
    for rule in (file_findings, clip_findings, rate_findings):
        findings += rule(clips, probes)
    if content:
        findings += same_content(
            [task.path for task in tasks if task.kind == 'video'])
    probed = time.perf_counter()
    decoded = None
    if decode:
        findings += _decode(cfg, clips, findings, workers)
        decoded = time.perf_counter() - probed
    return CheckResult(
        dict(counts), classes, _summary(clips, probes),
        list(dict.fromkeys(findings)), len(clips), len(tasks),
        listed - begin, probed - listed, decoded)


def probe_all(tasks: Sequence[Task],
              workers: int) -> dict[tuple[str, str], Media]:
    """Look at all files; by kind and path."""
    if len(tasks) < _FEW_FILES:
        workers = 1
    chunks = [tasks[first:first + _CHUNK]
              for first in range(0, len(tasks), _CHUNK)]
    found = {}
    for chunk, results in map_processes(_probe_chunk, chunks, workers):
        if isinstance(results, Died):
            # Which of them it was, each on its own will tell.
            results = [_probe_alone(task) for task in chunk]
        for task, media in zip(chunk, results, strict=True):
            found[task.kind, task.path] = media
    return found


def _probe_chunk(tasks: Sequence[Task]) -> list[Media]:
    return [probe(task) for task in tasks]


def _probe_alone(task: Task) -> Media:
    """Look at a file that may end the process which does."""
    other = Task('sound', os.devnull)  # two items make two processes
    for item, result in map_processes(probe, [task, other], 2):
        if item == task:
            if isinstance(result, Died):
                return Media('unreadable', 'reading it ends the process '
                             f'(exit code {result.exit_code})')
            return result
    raise RuntimeError(f'no result for {task.path}')


def _decode(cfg: Config, clips: Sequence[Clip], found: Sequence[Finding],
            workers: int) -> list[Finding]:
    """Findings of reading that the headers had not told."""
    known = {(item.kind, item.where) for item in found}
    bad = {item.where for item in found if item.is_error}
    silent = {item.where.rsplit(' (', 1)[0]
              for item in found if item.kind == 'silent'}
    new = []
    for _, results in decode_clips(cfg, clips, workers):
        new += [item for item in results
                if (item.kind, item.where) not in known
                and item.where not in bad
                and not (item.kind == 'silent' and item.where in silent)]
    return new


def _absent_classes(counts: dict, classes: dict[str, list[str]]
                    ) -> Iterator[Finding]:
    """Classes that a split has no clip of."""
    present = defaultdict(set)
    for split, _, label in counts:
        present[split].add(label)
    for split, names in classes.items():
        absent = [name for label, name in enumerate(names)
                  if label not in present[split]]
        if absent:
            yield Finding('no clips', split, ', '.join(map(str, absent)),
                          (split, ), 0)


def same_content(paths: Sequence[str]) -> Iterator[Finding]:
    """Files of the same bytes; only those of one size are read."""
    sizes = defaultdict(list)
    for path in paths:
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].append(path)
    digests = defaultdict(list)
    for size, group in sizes.items():
        if size and len(group) > 1:
            for path in group:
                with open(path, 'rb') as file:
                    digest = hashlib.file_digest(file, 'sha256').hexdigest()
                digests[digest].append(path)
    for group in digests.values():
        if len(group) > 1:
            yield Finding('same content', group[0], ', '.join(group[1:]), (),
                          len(group))


def _summary(clips: Sequence[Clip],
             probes: dict[tuple[str, str], Media]) -> dict[str, dict]:
    """Files, rates and length by modality."""
    files = defaultdict(dict)
    for name, source in itertools.chain.from_iterable(
            clip.sources() for clip in clips):
        for path in source_paths(source):
            files[name][path] = probes[source_kind(source), path]
    return {
        name: dict(
            files=len(found),
            rates=dict(Counter(round(media.rate, 2) for media in
                               found.values() if media.rate).most_common()),
            seconds=sum(media.duration for media in found.values()))
        for name, found in files.items()
    }
