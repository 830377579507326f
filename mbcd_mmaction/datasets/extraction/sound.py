"""The sound track of a video as a wav file, read piece by piece."""
from collections.abc import Iterator
from itertools import count

import av
import numpy as np
import soxr

from ..errors import MediaError
from ..readers import SoundReader, VideoReader, open_sound
from ..readers.container import open_media
from .encode import SoundWriter

SAMPLE_RATE = 16000
_SECONDS = 120  # of a piece


def write_sound_track(wav_path: str,
                      video: str,
                      silence_ok: bool = False) -> None:
    """Write a video's sound as a 16 kHz mono wav of 16 bits.

    Sample 0 belongs to the video's first frame: sound that begins later is
    preceded by silence, what comes earlier is cut, and a hole in the track
    stays one. Several channels are averaged. At most two minutes of sound
    are in memory at once.

    Args:
        wav_path (str): File to write.
        video (str): Any file with a sound track.
        silence_ok (bool): Whether a video without sound gives silence of its
            length. Defaults to False: it is an error.

    Raises:
        MediaError: There is no sound track, it holds nothing, or it is cut
            off.
        OSError, av.error.FFmpegError: The file is unusable.
    """
    with open_media(video) as container:
        has_sound = bool(container.streams.audio)
        seconds = (container.duration or 0) / av.time_base
    total = 0
    with SoundWriter(wav_path, SAMPLE_RATE) as writer:
        if has_sound:
            for piece in _resampled(open_sound(video), seconds):
                writer.write(piece)
                total += piece.size
        elif silence_ok:
            reader = VideoReader(video)
            seconds = reader.times[-1] + 1 / (reader.fps or 25)
            for piece in _silence(round(seconds * SAMPLE_RATE)):
                writer.write(piece)
                total += piece.size
        else:
            raise MediaError(video, 'it holds no sound')
    if total == 0:
        raise MediaError(video, 'its sound track holds no samples')


def _silence(samples: int) -> Iterator[np.ndarray]:
    """That many zeros, in pieces."""
    most = _SECONDS * SAMPLE_RATE
    for first in range(0, samples, most):
        yield np.zeros(min(most, samples - first), np.float32)


def _resampled(sound: SoundReader, seconds: float) -> Iterator[np.ndarray]:
    """Samples at the target rate, (L,) float32 at a time."""
    resampler = soxr.ResampleStream(sound.rate, SAMPLE_RATE, 1)
    for piece in _pieces(sound, seconds):
        yield resampler.resample_chunk(piece)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _pieces(sound: SoundReader, seconds: float) -> Iterator[np.ndarray]:
    """All samples at their own rate; a hole becomes zeros.

    ``seconds`` is what the file says of its length, or 0: the end is where
    nothing comes beyond it.
    """
    missing = 0
    for start in count(0, _SECONDS):
        piece = sound.read(start, start + _SECONDS)
        if piece.size:
            while missing:
                zeros = min(missing, _SECONDS * sound.rate)
                yield np.zeros(zeros, np.float32)
                missing -= zeros
            yield piece
        missing += _SECONDS * sound.rate - piece.size
        if not piece.size and start > seconds:
            return
