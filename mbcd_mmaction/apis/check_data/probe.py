"""What can be told of a media file without decoding it."""
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

import av
import numpy as np
import soundfile

from ...datasets.errors import MediaError, explain, media_errors
from ...datasets.readers.container import (
    check_complete,
    only,
    open_media,
    picture_stream,
)

Segment = tuple[float, float | None] | None

# A piece of sound that tells silence from none, and how many of them.
_PIECE, _NUM_PIECES = 1024, 8
_SILENCE = 2 / 32768
# Containers whose header has the length of the whole, and what it may be off.
_TIMED, _SLACK = frozenset(['matroska', 'webm', 'flv']), .5  # seconds


class Task(NamedTuple):
    """One file or folder to look at.

    Attributes:
        kind (str): 'video', 'sound', or 'folder' for frames.
        path (str): The file or folder.
        detail (tuple): For sound the segments whose silence matters; for a
            folder the template of its names.
    """
    kind: str
    path: str
    detail: tuple = ()


class Media(NamedTuple):
    """What was found.

    Attributes:
        problem (str): A kind of finding, or '' where the file is right.
        reason (str): What is wrong.
        num_frames (int): Frames; of sound, samples.
        rate (float): Frames or samples a second; 0 if unknown.
        duration (float): Seconds.
        silent (tuple[Segment, ...]): Segments of sound that are silent.
        present (np.ndarray | None): Numbers of the frames in a folder.
    """
    problem: str = ''
    reason: str = ''
    num_frames: int = 0
    rate: float = 0.0
    duration: float = 0.0
    silent: tuple[Segment, ...] = ()
    present: np.ndarray | None = None


def probe(task: Task) -> Media:
    """Look at one file; a bad one is an answer, not an error."""
    path = task.path
    if not os.path.exists(path):
        return Media('missing', 'no such file or folder')
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        return Media('empty file', 'the file is empty (0 bytes)')
    try:
        if task.kind == 'folder':
            return _probe_folder(path, *task.detail)
        if task.kind == 'sound':
            return _probe_sound(path, task.detail)
        return _probe_video(path)
    except media_errors() as error:
        return Media('unreadable', explain(error, (path, ))[1])


def _probe_video(path: str) -> Media:
    with open_media(path) as file:
        stream = picture_stream(file)
        if stream is None:
            return Media('unreadable', 'it holds no video stream')
        only(file, stream)
        rate = float(stream.average_rate or 0)
        # An mp4's own table, after its edit list; that of others ends where
        # the file does, or holds key frames alone.
        count, duration = len(stream.index_entries), stream.duration
        if 'mov' not in file.format.name or not stream.frames or (
                not count or duration is None):
            return _count_packets(path, file, stream)
        last = _last_packet(file, stream)
        if last is None:
            raise MediaError(path, f'cut off: its header lists {count} '
                             'frames, the last are not there')
        check_complete(path, stream, None, last)
        seconds = float(duration * stream.time_base)
    return Media('', '', count, rate, seconds)


def _last_packet(file: av.container.InputContainer,
                 stream: av.VideoStream) -> int | None:
    """Decoding time of the last packet, read from the last key frame on."""
    file.seek((stream.start_time or 0) + stream.duration, stream=stream)
    last = None
    for packet in file.demux(stream):
        if packet.size and packet.dts is not None:
            last = packet.dts if last is None else max(last, packet.dts)
    return last


def _count_packets(path: str, file: av.container.InputContainer,
                   stream: av.VideoStream) -> Media:
    """A file whose header does not count its frames is read through."""
    for other in file.streams:
        other.discard = av.stream.Discard.default
    times, packets, end = [], 0, 0.0
    for packet in file.demux():
        if packet.pts is not None:
            end = max(end, float(packet.pts * packet.time_base))
        if packet.stream_index == stream.index and packet.size:
            packets += 1
            if not packet.is_discard:
                times.append(packet.pts)
    if not times:
        return Media('zero length', 'its video stream holds no frames')
    check_complete(path, stream, packets, None)
    said = (file.duration or 0) / av.time_base
    if end < .9 * said - _SLACK and not _TIMED.isdisjoint(
            file.format.name.split(',')):
        raise MediaError(path, f'cut off: its header says {said:.2f} s, it '
                         f'holds {end:.2f} s')
    known = [time for time in times if time is not None]
    rate = float(stream.average_rate or 0)
    span = float((max(known) - min(known)) * stream.time_base) if known else 0
    return Media('', '', len(times), rate, span + (1 / rate if rate else 0))


def _probe_sound(path: str, segments: Iterable[Segment]) -> Media:
    # By the name, as the reader of a training chooses.
    if not path.lower().endswith(('.wav', '.flac')):
        return _probe_track(path)
    with soundfile.SoundFile(os.fsencode(path)) as file:
        count, rate = file.frames, file.samplerate
        if not count:
            return Media('zero length', 'it holds no samples')
        silent = tuple(part for part in segments if _is_silent(file, part))
    return Media('', '', count, float(rate), count / rate, silent)


def _is_silent(file: soundfile.SoundFile, segment: Segment) -> bool:
    """Whether a part is silent: a few pieces of it, if those are, all."""
    start, stop = segment or (0., None)
    first, last = max(round(start * file.samplerate), 0), file.frames
    if stop is not None:
        last = min(round(stop * file.samplerate), last)
    if last <= first:
        return False  # a finding of its own
    places = np.linspace(first, max(last - _PIECE, first), _NUM_PIECES)
    for place in places.astype(int):
        file.seek(place)
        if np.abs(file.read(min(_PIECE, last - place))).max() > _SILENCE:
            return False
    file.seek(first)
    for block in file.blocks(2**16, frames=last - first):
        if np.abs(block).max() > _SILENCE:
            return False
    return True


def _probe_track(path: str) -> Media:
    """The sound track of a video, or any sound that soundfile lacks."""
    with open_media(path) as file:
        if not file.streams.audio:
            return Media('no sound', 'it holds no sound')
        stream = file.streams.audio[0]
        duration = (stream.duration * stream.time_base if stream.duration
                    else (file.duration or 0) / av.time_base)
        if not duration:
            return Media('zero length', 'its sound track holds nothing')
        rate = float(stream.rate or 0)
        return Media('', '', round(float(duration) * rate), rate,
                     float(duration))


def _probe_folder(path: str, template: str) -> Media:
    """Which numbered frames lie in a folder."""
    head, _, rest = template.partition('{')
    tail = rest.partition('}')[2]
    name = re.compile(re.escape(head) + r'(\d+)' + re.escape(tail) + r'\Z')
    found = [int(match.group(1)) for match in map(name.match, os.listdir(path))
             if match]
    if not found:
        return Media('zero length', f'no frames named {template} in it')
    return Media(num_frames=len(found), present=np.sort(np.array(found)))
