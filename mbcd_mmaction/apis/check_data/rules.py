"""What each clip must be, given what its files are."""
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .findings import Finding
from .listing import Clip
from .probe import Media, Segment, Task

# Seconds by which annotations may overshoot, and a share within which two
# rates are one (29.97 and 30).
_SPARE, _SAME_RATE = 0.5, 0.02

Probes = Mapping[tuple[str, str], Media]


def source_tasks(clips: Sequence[Clip]) -> list[Task]:
    """The files and folders of all clips, each once."""
    details = defaultdict(set)
    for clip in clips:
        for _, source in clip.sources():
            for path in source_paths(source):
                kind = source_kind(source)
                detail = details[kind, path]
                if kind == 'sound':
                    detail.add(segment_of(source))
                elif kind == 'folder':
                    detail.add(source['template'])
    return [Task(*key, tuple(detail)) for key, detail in details.items()]


def source_paths(source: dict[str, Any]) -> tuple[str, ...]:
    """The files or folders of a source."""
    names = source['filename']
    return (names, ) if isinstance(names, str) else tuple(names)


def source_kind(source: dict[str, Any]) -> str:
    """The kind of :class:`Task` that looks at a source."""
    if source['modality'] == 'Audio':
        return 'sound'
    return 'folder' if source.get('template') else 'video'


def segment_of(source: dict[str, Any]) -> Segment:
    """Start and stop of a clip in a file, seconds; None for all of it."""
    segment = source.get('segment')
    return None if segment is None else tuple(segment)


def file_findings(clips: Sequence[Clip], probes: Probes) -> Iterator[Finding]:
    """Files that cannot be used, each once, with the clips that need it."""
    users = defaultdict(dict)
    for clip in clips:
        for _, source in clip.sources():
            for path in source_paths(source):
                users[source_kind(source), path][clip.split,
                                                 clip.clip_id] = None
    for key, names in users.items():
        media = probes[key]
        if media.problem:
            yield Finding(media.problem, key[1], media.reason,
                          tuple(dict.fromkeys(split for split, _ in names)),
                          len({clip_id for _, clip_id in names}))


def clip_findings(clips: Sequence[Clip], probes: Probes) -> Iterator[Finding]:
    """What is wrong with single clips whose files are right."""
    for clip in clips:
        for name, source in clip.sources():
            kind = source_kind(source)
            for path in source_paths(source):
                media = probes[kind, path]
                if media.problem:
                    continue
                if kind == 'folder':
                    yield from _frames(clip, name, source, path, media)
                else:
                    yield from _segment(clip, name, segment_of(source), path,
                                        media)
        yield from _flow(clip, probes)


def _segment(clip: Clip, name: str, segment: Segment, path: str,
             media: Media) -> Iterator[Finding]:
    where = f'{clip.clip_id} ({name})'
    if segment is not None:
        start, stop = segment
        text = f'{_seconds(segment)} of {path}'
        if stop is not None and stop <= start:
            yield Finding('empty segment', where, text, (clip.split, ))
        elif not 0 <= start < media.duration or (
                stop is not None and stop > media.duration + _SPARE):
            yield Finding('beyond the end', where, f'{text}, which has '
                          f'{media.duration:.2f} s', (clip.split, ))
    if segment in media.silent:
        yield Finding('silent', where, path, (clip.split, ))


def _frames(clip: Clip, name: str, source: dict[str, Any], path: str,
            media: Media) -> Iterator[Finding]:
    """Frames of a folder: all there?"""
    first, total = source['first'], source['total_frames']
    where = f'{clip.clip_id} ({name})'
    if total < 1:
        yield Finding('empty segment', where, f'{total} frames of {path}',
                      (clip.split, ))
        return
    low, high = np.searchsorted(media.present, [first, first + total])
    if high - low < total:
        yield Finding(
            'missing', where, f'{total - (high - low)} of the frames {first} '
            f'to {first + total - 1} in {path}', (clip.split, ))


def _length(source: dict[str, Any], path: str,
            probes: Probes) -> tuple[int, int, float] | None:
    """Frames of one file in a clip, how many of them are uncertain, and the
    clip's seconds (0: unknown)."""
    media = probes[source_kind(source), path]
    if media.problem:
        return None
    if source_kind(source) == 'folder':
        total = source['total_frames']
        return total, 0, total / source['fps']
    segment = segment_of(source)
    if segment is None:
        return media.num_frames, 0, media.duration
    start, stop = segment
    stop = media.duration if stop is None else min(stop, media.duration)
    seconds = max(stop - start, 0)
    count = round(seconds * media.num_frames / max(media.duration, 1e-9))
    return count, 2 + count // 50, seconds


def _flow(clip: Clip, probes: Probes) -> Iterator[Finding]:
    """Flow of N frames has N - 1 or N of them, or half."""
    by_kind = {source['modality']: source for _, source in clip.sources()}
    flow, video = by_kind.get('Flow'), by_kind.get('RGB')
    if flow is None:
        return
    x, y = (_length(flow, path, probes) for path in source_paths(flow))
    if x is None or y is None:
        return
    where = f'{clip.clip_id} (flow)'
    place = ' and '.join(source_paths(flow))
    if x[0] != y[0]:
        yield Finding('flow length', where, f'x has {x[0]} frames, y {y[0]}: '
                      f'{place}', (clip.split, ))
        return
    whole = video and _length(video, source_paths(video)[0], probes)
    if whole and not _fits(x, whole):
        yield Finding(
            'flow length', where, f'{x[0]} frames, its video {whole[0]}: '
            f'expected about {whole[0] - 1} or {whole[0] // 2}; {place}',
            (clip.split, ))


def _fits(flow: tuple[int, int, float],
          video: tuple[int, int, float]) -> bool:
    """Whether flow has the video's frames, or half of them."""
    spare = 1 + flow[1] + video[1]
    if min(abs(flow[0] - (video[0] - .5)), abs(flow[0] - video[0] / 2)
           ) <= spare:
        return True
    # A part of a video of variable rate has its own number of frames: there
    # the time that it takes must do.
    return bool(video[1]) and .9 < flow[2] / max(video[2], 1e-9) < 1.1


def rate_findings(clips: Sequence[Clip], probes: Probes) -> Iterator[Finding]:
    """Files whose rate is not that of most of the modality and domain."""
    files = defaultdict(dict)
    for clip in clips:
        for name, source in clip.sources():
            for path in source_paths(source):
                media = probes[source_kind(source), path]
                if not media.problem and media.rate:
                    key = name, str(clip.record.get('domain'))
                    files[key].setdefault((path, media.rate), set()).add(
                        clip.split)
    for (name, domain), rates in files.items():
        usual = Counter(rate for _, rate in rates).most_common(1)[0][0]
        for (path, rate), splits in rates.items():
            if abs(rate - usual) > _SAME_RATE * usual:
                yield Finding(
                    'rate', path, f'{rate:g} a second, most {name} files of '
                    f'{domain} have {usual:g}', tuple(splits))


def overlap_findings(clips: Sequence[Clip]) -> Iterator[Finding]:
    """Target among the sources, train in val, and clips that stand twice.

    Parts of one file that share some of its time are told of train and val,
    frames in folders aside.
    """
    domains, paths, keys = (defaultdict(lambda: defaultdict(int))
                            for _ in range(3))
    labels = defaultdict(set)
    for clip in clips:
        side = 'target' if clip.split == 'test' else 'source'
        domains[clip.record.get('domain')][side] += 1
        key = None
        for _, source in clip.sources():
            for path in source_paths(source):
                path = os.path.realpath(path)
                if source_kind(source) != 'folder':
                    paths[path][side] += 1
                key = key or (path, segment_of(source), source.get('first'),
                              source.get('total_frames'))
        if key is not None:
            keys[key][clip.split] += 1
            labels[key, clip.split].add(clip.record['label'])
    for what, found in (('domain', domains), ('file', paths)):
        for name, sides in found.items():
            if len(sides) == 2:
                yield Finding(
                    'domain overlap', f'{what} {name}', 'both in a source '
                    'split (train, val) and in test', ('train', 'test'),
                    sides['target'])
    for key, splits in keys.items():
        yield from _repeats(_text(key), splits, labels, key)
    yield from _shared_time(keys)


def _shared_time(keys: Mapping[tuple, Mapping[str, int]]) -> Iterator[Finding]:
    """Clips of val that share a part of a file with another one of train."""
    files = defaultdict(lambda: defaultdict(list))
    for key, splits in keys.items():
        for split in splits:
            if key[2] is None:  # a file, not a folder of frames
                files[key[0]][split].append(key)
    for splits in files.values():
        trained = [(key, *_interval(key[1]))
                   for key in splits.get('train', ())]
        for key in splits.get('val', ()):
            start, stop = _interval(key[1])
            other = next((one for one, low, high in trained
                          if one != key and low < stop and start < high), None)
            if other is not None:
                yield Finding(
                    'split overlap', _text(key), 'in val, shares time with '
                    f'{_text(other)} in train', ('train', 'val'))


def _interval(segment: Segment) -> tuple[float, float]:
    """Start and stop of a segment as numbers."""
    start, stop = segment or (0., None)
    return start, np.inf if stop is None else stop


def _repeats(where: str, splits: Mapping[str, int], labels: Mapping,
             key: tuple) -> Iterator[Finding]:
    if 'train' in splits and 'val' in splits:
        yield Finding('split overlap', where, 'in train and in val',
                      ('train', 'val'))
    for split, count in splits.items():
        if len(labels[key, split]) > 1:
            yield Finding('two labels', where, f'labels '
                          f'{sorted(labels[key, split])}', (split, ), count)
        elif count > 1:
            yield Finding('duplicate', where, f'{count} times', (split, ),
                          count)


def _text(key: tuple) -> str:
    """How a clip is called by its first file."""
    path, segment, first, total = key
    if segment is not None:
        return f'{path} {_seconds(segment)}'
    return path if first is None else f'{path} {first}-{first + total}'


def _seconds(segment: Segment) -> str:
    """A segment in words."""
    start, stop = segment
    return f'{start:g} to {"the end" if stop is None else f"{stop:g} s"}'
