"""Which frames a video stream holds, found without decoding any."""
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np


class Entry(NamedTuple):
    """What is kept of one packet.

    Attributes:
        pts (int, optional): When its frame is shown, in time base units.
        dts (int, optional): When it is decoded.
        key (bool): Whether decoding can begin with it.
        shown (bool): Whether its frame is shown at all; those in front of
            an edit are only referred to.
    """
    pts: int | None
    dts: int | None
    key: bool
    shown: bool


def entry(packet: av.Packet) -> Entry:
    """The entry of a packet."""
    return Entry(packet.pts, packet.dts, packet.is_keyframe,
                 not packet.is_discard)


class FrameTable:
    """Time stamps of the frames of a clip, and how to get at each.

    Args:
        entries (Sequence[Entry]): Packets in the order in which they are
            stored, from one with which decoding can begin.
        time_base (Fraction): Seconds per unit of the time stamps.
        origin (int, optional): Time stamp of the file's first frame.
            Defaults to None: of the first of these.
        segment (tuple, optional): Start and stop (None for the end) in
            seconds since ``origin``; only frames shown in
            start <= t < stop are numbered. Defaults to None: all.

    Attributes:
        entries (list[Entry]), time_base (Fraction): As given.
        stamps (list[int] | None): Time stamp of each frame. None for a
            stream without usable ones, of which only ``count`` is known.
        count (int): Number of frames.
        first_key (int): Position in ``entries`` of the first key frame.
    """

    def __init__(self,
                 entries: Sequence[Entry],
                 time_base: Fraction,
                 origin: int | None = None,
                 segment: tuple[float, float | None] | None = None) -> None:
        self.entries = list(entries)
        self.time_base = time_base
        self._keys = [
            position for position, item in enumerate(self.entries)
            if item.key and item.pts is not None
        ]
        self._key_times = [self.entries[k].pts for k in self._keys]
        self.first_key = self._keys[0] if self._keys else 0
        first = self._key_times[0] if self._keys else None
        shown = [item.pts for item in self.entries if item.shown]
        self.stamps = None
        self.count = len(shown)
        if None in shown or len(set(shown)) < len(shown):
            return
        # What leads the first key frame in time refers to missing pictures.
        stamps = sorted(t for t in shown if first is None or t >= first)
        if origin is None and stamps:
            origin = stamps[0]
        if segment is not None:
            low, high = bounds(segment, time_base, origin)
            stamps = stamps[bisect_left(stamps, low):]
            if high is not None:
                stamps = stamps[:bisect_left(stamps, high)]
        self.stamps = stamps
        self.count = len(stamps)
        self._origin = origin

    def times(self, start: float, fps: float) -> np.ndarray:
        """Seconds from ``start`` to when each frame is shown, float64.

        A stream without time stamps is taken to have a constant ``fps``.
        """
        if self.stamps is None:
            return np.arange(self.count) / (fps or np.nan)
        unit = self.time_base
        since = np.array(self.stamps, np.int64) - (self._origin or 0)
        return since * unit.numerator / unit.denominator - start

    def is_open(self) -> bool:
        """Whether a frame is stored behind a key frame shown after it."""
        latest = None
        for item in self.entries:
            if item.key and item.pts is not None:
                latest = item.pts
            elif None not in (latest, item.pts) and item.pts < latest:
                return True
        return False

    def runs(self, wanted: Iterable[int]) -> list[tuple[int, int]]:
        """Stretches of packets to decode in order to see some frames.

        Args:
            wanted (Iterable[int]): Frame numbers.

        Returns:
            list[tuple[int, int]]: First and last position in ``entries`` of
            each stretch; the first is a key frame. A key frame between two
            wanted frames begins a new one unless the stretches touch.
        """
        wanted = {self.stamps[index] for index in wanted}
        spans = sorted((self._key_before(position), position)
                       for position, item in enumerate(self.entries)
                       if item.pts in wanted)
        runs: list[tuple[int, int]] = []
        for first, last in spans:
            if runs and first <= runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
            else:
                runs.append((first, last))
        return runs

    def _key_before(self, position: int) -> int:
        """The last key frame both stored and shown no later than a frame."""
        stored = bisect_right(self._keys, position)
        shown = bisect_right(self._key_times, self.entries[position].pts)
        last = min(stored, shown) - 1
        return self._keys[last] if last >= 0 else 0


def bounds(segment: tuple[float, float | None], time_base: Fraction,
           origin: int) -> tuple[int, int | None]:
    """Time stamps from which and before which frames are in a segment.

    A microsecond of grace: 0.1 in a float is a little more than a tenth.
    """

    def stamp(seconds: float) -> int:
        ticks = (Fraction(seconds) - Fraction(1, 10**6)) / time_base
        return origin + -(-ticks.numerator // ticks.denominator)

    start, stop = segment
    return stamp(start), None if stop is None else stamp(stop)


def no_frames(segment: tuple[float, float | None] | None) -> str:
    """Why a clip has no frames."""
    if segment is None:
        return 'its video stream holds no frames'
    start, stop = segment
    return (f'it shows no frame from {start:.2f} s to '
            f'{"its end" if stop is None else f"{stop:.2f} s"}')
