"""The sound track of a video as a wav file, read as a stream."""
from collections.abc import Iterator

import av
import numpy as np
import soxr

from ..errors import MediaError
from .encode import SoundWriter

SAMPLE_RATE = 16000
# A hole in the time stamps that is heard as one; less is rounding.
_GAP = 0.05
_LONGEST_GAP = 3600  # seconds; more is a broken time stamp
_SILENCE = 10 * SAMPLE_RATE


def write_sound_track(wav_path: str,
                      video: str,
                      silence_ok: bool = False) -> None:
    """Write a video's sound as a 16 kHz mono wav of 16 bits.

    Sample 0 belongs to the video's first frame: sound that begins later is
    preceded by silence, what comes earlier is cut, and a hole in the track
    stays one. Several channels are averaged. An hour of sound is never in
    memory at once.

    Args:
        wav_path (str): File to write.
        video (str): Any file with a sound track.
        silence_ok (bool): Whether a video without sound gives silence of its
            length. Defaults to False: it is an error.

    Raises:
        MediaError: There is no sound track, it holds nothing, or its rate
            changes in the middle.
        OSError, av.error.FFmpegError: The file is unusable.
    """
    with av.open(video) as container:
        start, duration = _picture(container)
        if container.streams.audio:
            samples = _resampled(video, container, start)
        elif silence_ok:
            samples = _silence(round(duration * SAMPLE_RATE))
        else:
            raise MediaError(video, 'it holds no sound')
        count = 0
        with SoundWriter(wav_path, SAMPLE_RATE) as writer:
            for piece in samples:
                writer.write(piece)
                count += piece.size
        if count == 0:
            raise MediaError(video, 'its sound track holds no samples')


def _picture(container: av.container.InputContainer) -> tuple[float, float]:
    """When the picture starts and how long the file is, seconds."""
    duration = (container.duration or 0) / av.time_base
    if not container.streams.video:
        return 0.0, duration
    stream = container.streams.video[0]
    return float((stream.start_time or 0) * stream.time_base), duration


def _silence(count: int) -> Iterator[np.ndarray]:
    for first in range(0, count, _SILENCE):
        yield np.zeros(min(_SILENCE, count - first), np.float32)


def _resampled(video: str, container: av.container.InputContainer,
               start: float) -> Iterator[np.ndarray]:
    """Mono samples at the target rate, (L,) float32 at a time."""
    stream = container.streams.audio[0]
    resampler = None
    for rate, piece in _placed(video, container.decode(stream), start):
        if resampler is None:
            first = rate
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1)
        if rate != first:
            raise MediaError(
                video, f'its sound changes from {first} to {rate} Hz')
        yield resampler.resample_chunk(piece)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _placed(video: str, frames: Iterator[av.AudioFrame],
            start: float) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and mono samples, with the first at ``start`` (seconds)."""
    convert = None
    position = 0
    for frame in frames:
        if convert is None:
            # The samples' kind alone: rate and channels stay.
            convert = av.AudioResampler(format='fltp')
        rate = frame.sample_rate
        if frame.pts is not None:
            place = round((float(frame.pts * frame.time_base) - start) * rate)
        else:
            place = position
        wave = np.concatenate(
            [part.to_ndarray() for part in convert.resample(frame)],
            axis=1).mean(axis=0, dtype=np.float32)
        gap = place - position
        if gap > _LONGEST_GAP * rate:
            raise MediaError(
                video, f'its sound has a hole of {gap / rate:.0f} s')
        if gap > (_GAP * rate if position else 0):
            for piece in _silence(gap):
                yield rate, piece
            position += gap
        elif position == 0 and gap < 0:
            wave = wave[-gap:]
        position += wave.size
        if wave.size:
            yield rate, wave
