"""Sound of a file, of which only the part that is asked for is read."""
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import soundfile

from ..errors import MediaError
from .container import (
    check_complete,
    is_seekable,
    only,
    open_media,
    start_of_video,
)

# Decoders need what is in front of a part for its first samples to be
# right: one packet for AAC, ten for MP3, 80 ms for Opus.
_PREROLL = Fraction(1, 2)


class SoundReader:
    """The sound of a file: of a wav or flac, or the track of a container.

    Time 0 is when the first frame of the file's video is shown, so that
    picture and sound of one stretch of seconds belong together; without
    video it is the first sample.

    Args:
        path (str): The file.

    Attributes:
        path (str): The file.
        rate (int): Hz.
        channels (int): Number of channels.
        samples_decoded (int): Samples of a channel read or decoded so far.

    Raises:
        OSError, soundfile.SoundFileError, av.error.FFmpegError: The file is
            missing or not media.
        MediaError: It holds no sound.
    """

    path: str
    rate: int
    channels: int
    samples_decoded: int = 0

    def read(self, start: float, stop: float | None) -> np.ndarray:
        """Samples of a stretch, the mean of all channels.

        Args:
            start (float): Seconds; what lies before 0 is left out.
            stop (float, optional): Seconds; None for the end.

        Returns:
            np.ndarray: (L,) float32; L is 0 where there are no samples,
            and smaller than asked for at the end of the sound.

        Raises:
            MediaError: The file is cut off or holds values that are not
                finite.
        """
        first = max(round(start * self.rate), 0)
        last = None if stop is None else round(stop * self.rate)
        if last is not None and last <= first:
            return np.zeros(0, np.float32)
        wave = self._read(first, last)
        if not np.isfinite(wave).all():
            raise MediaError(self.path, 'its samples are not all finite')
        return wave

    def _read(self, first: int, last: int | None) -> np.ndarray:
        """Samples ``first`` up to, without, ``last``; first < last."""
        raise NotImplementedError


class _SoundFile(SoundReader):
    """Through libsndfile, which seeks to a sample."""

    def __init__(self, path: str) -> None:
        self.path = path
        # Only as bytes may a name be anything but UTF-8.
        self._file = soundfile.SoundFile(os.fsencode(path))
        self.rate = self._file.samplerate
        self.channels = self._file.channels

    def _read(self, first: int, last: int | None) -> np.ndarray:
        frames = self._file.frames
        last = frames if last is None else min(last, frames)
        if last <= first:
            return np.zeros(0, np.float32)
        self._file.seek(first)
        samples = self._file.read(last - first, 'float32', always_2d=True)
        self.samples_decoded += len(samples)
        return samples[:, 0] if self.channels == 1 else samples.mean(axis=1)


class _SoundTrack(SoundReader):
    """Through PyAV: seek, decode a little more than asked for, cut."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open()
        self.rate = self._stream.rate
        self.channels = self._stream.codec_context.channels
        origin = start_of_video(self._container)
        if origin is None:
            origin = self._start()
        self._origin = origin

    def _open(self) -> None:
        self._container = open_media(self.path)
        tracks = self._container.streams.audio
        if not tracks:
            raise MediaError(self.path, 'it holds no sound')
        self._stream = tracks[0]
        self._stream.codec_context.thread_count = 1

    def _start(self) -> Fraction:
        """When the track begins, in seconds of the file's own clock."""
        return (self._stream.start_time or 0) * self._stream.time_base

    def _read(self, first: int, last: int | None) -> np.ndarray:
        pieces = self._pieces(first, last)
        if not pieces:
            return np.zeros(0, np.float32)
        end = max(place + len(wave) for place, wave in pieces)
        end = end if last is None else min(end, last)
        out = np.zeros(end - first, np.float32)
        for place, wave in pieces:
            wave = wave[max(first - place, 0):max(end - place, 0)]
            place = max(place - first, 0)
            out[place:place + len(wave)] = wave
        return out

    def _pieces(self, first: int,
                last: int | None) -> list[tuple[int, np.ndarray]]:
        """Decoded stretches that overlap the samples, with their places."""
        ahead = self._origin + Fraction(first, self.rate) - _PREROLL
        grid = None
        if ahead <= self._start():
            ahead = None  # decoding begins where the track does
        elif self._stream.time_base * self.rate > 1:
            grid = self._grid()
        for seeking in (True, False):
            if not seeking:
                self._open()
            elif ahead is None or not self._seek(ahead):
                continue
            pieces = []
            for place, wave in self._placed(ahead, grid):
                if last is not None and place >= last:
                    break
                if seeking and not pieces and place > first:
                    break  # the container sought too far
                pieces.append((place, wave))
            if pieces:
                break
        return [(place, wave) for place, wave in pieces
                if place + len(wave) > first]

    def _seek(self, seconds: Fraction) -> bool:
        """Go to a packet at a time or before it; False if it cannot."""
        if not is_seekable(self._container):
            return False
        try:
            self._container.seek(
                int(seconds / self._stream.time_base), stream=self._stream)
        except av.error.FFmpegError:
            return False
        return True

    def _grid(self) -> tuple[int, int] | None:
        """Place of a boundary between packets, and samples of a packet.

        The places of all packets follow from it, to the sample, where time
        stamps are coarser. None where packets differ in length.
        """
        self._open()
        frames = list(islice(self._decoded(None), 3))
        lengths = [frame.samples for frame in frames]
        if len(frames) < 3 or lengths[1] != lengths[2]:
            return None
        return self._place(frames[0]) + lengths[0], lengths[1]

    def _place(self, frame: av.AudioFrame) -> int:
        """Number of a frame's first sample, by its time stamp."""
        seconds = frame.pts * self._stream.time_base - self._origin
        return round(seconds * self.rate)

    def _placed(
        self, ahead: Fraction | None, grid: tuple[int, int] | None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Decoded stretches (float32) and the place of their first sample.

        A stretch begins where the last ended unless its time stamp is
        further off than rounding explains: some containers round to a
        millisecond.
        """
        slack = int(1.5 * self._stream.time_base * self.rate) + 1
        expected = None
        for frame in self._decoded(ahead):
            place = self._place(frame)
            if expected is None and grid is not None:
                boundary, length = grid
                expected = boundary + length * round(
                    (place - boundary) / length)
            if expected is not None and abs(place - expected) <= slack:
                place = expected
            wave = _mean(frame)
            expected = place + len(wave)
            yield place, wave

    def _decoded(self, ahead: Fraction | None) -> Iterator[av.AudioFrame]:
        """Frames of the track that end after a time, which is behind us."""
        only(self._container, self._stream)
        context, last = self._stream.codec_context, None
        skipped = ahead and int(ahead / self._stream.time_base)
        for packet in self._container.demux(self._stream):
            last = last if packet.dts is None else packet.dts
            if packet.size and skipped is not None and (
                    packet.pts is not None
                    and packet.pts + (packet.duration or 0) < skipped):
                continue
            for frame in context.decode(packet if packet.size else None):
                self.samples_decoded += frame.samples
                if frame.sample_rate != self.rate:
                    raise MediaError(
                        self.path, f'its sound has {frame.sample_rate} Hz, '
                        f'its header says {self.rate} Hz')
                yield frame
        check_complete(self.path, self._stream, None, last)


def _mean(frame: av.AudioFrame) -> np.ndarray:
    """Mean of a frame's channels as (L,) float32 in [-1, 1]."""
    samples = frame.to_ndarray()
    if frame.format.is_packed:
        samples = samples.reshape(frame.samples, -1).T
    if samples.dtype.kind in 'iu':
        half = 2.**(8 * samples.dtype.itemsize - 1)
        offset = half if samples.dtype.kind == 'u' else 0
        samples = (samples.astype(np.float32) - offset) / half
    return samples.mean(axis=0, dtype=np.float32)


_BY_SOUNDFILE = ('.wav', '.flac')


def open_sound(path: str) -> SoundReader:
    """Open the sound of a file, by its name: libsndfile, or else PyAV."""
    suffix = os.path.splitext(path)[1].lower()
    return (_SoundFile if suffix in _BY_SOUNDFILE else _SoundTrack)(path)
