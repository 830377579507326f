"""Sound of a clip: reading, spectrogram, augmentation."""
import math
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
import soxr
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ..readers import open_sound


@TRANSFORMS.register_module()
class LoadAudioClip(BaseTransform):
    """Read a clip's part of a file's sound, and nothing else of it.

    Required key: ``filename``, a wav, a flac or any file with a sound track.
    Optional keys: ``segment``, start and stop in seconds within the file
    (stop None: its end), or None for the whole file; ``shared``, a dict in
    which the sampling of frames leaves ``window``, (num_clips, 2) seconds
    since the clip's start. Added keys: ``audios``, (sample_rate *
    duration,) float32 in [-1, 1]; ``sample_rate`` (Hz); ``audio_empty``
    (bool).

    A longer clip is cut, a shorter one repeated. Where nothing lies between
    start and stop (stop <= start, or beyond the end) the clip is silent and
    ``audio_empty`` is True. Several channels are averaged and another rate
    is resampled by soxr; each is logged once.

    Args:
        duration (float): Seconds. Defaults to 10.
        sample_rate (int): Hz. Defaults to 16000.
        window (str): 'clip' for the whole clip, or 'frames' for the part
            from the first to the last of the frames that were sampled
            before it, whatever their order; the whole clip where none were
            or where all of them are shown at one time. Defaults to 'clip'.

    Raises:
        ValueError: duration or sample_rate is not positive, or an unknown
            window.
        OSError, soundfile.SoundFileError, av.error.FFmpegError: The file is
            missing or not media.
        MediaError: It holds no sound, or values that are not finite.
    """

    def __init__(self,
                 duration: float = 10.0,
                 sample_rate: int = 16000,
                 window: str = 'clip') -> None:
        if duration <= 0 or sample_rate <= 0:
            raise ValueError('expected a positive duration (s) and '
                             f'sample_rate (Hz), got {duration} and '
                             f'{sample_rate}')
        if window not in ('clip', 'frames'):
            raise ValueError("window: expected 'clip' or 'frames', got "
                             f'{window!r}')
        self.duration = duration
        self.sample_rate = sample_rate
        self.window = window
        # Shared memory: what one loader worker said the others do not.
        self._said = torch.zeros(2, dtype=torch.uint8).share_memory_()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read, mix down, resample, and bring to length."""
        wave = self._read(results['filename'], *self._stretch(results))
        length = round(self.duration * self.sample_rate)
        results['audio_empty'] = wave.size == 0
        if wave.size == 0:
            audio = np.zeros(length, np.float32)
        else:
            audio = np.resize(wave, length)  # repeats or cuts
            np.clip(audio, -1, 1, out=audio)
        results['audios'] = audio
        results['sample_rate'] = self.sample_rate
        return results

    def _stretch(self, results: dict[str,
                                     Any]) -> tuple[float, float]:
        """Start and stop in seconds within the file."""
        start, stop = results.get('segment') or (0., None)
        stop = math.inf if stop is None else stop
        times = (results.get('shared') or {}).get('window')
        if self.window == 'frames' and times is not None:
            # A window longer than the clip wraps: its last frame may be
            # shown before its first.
            low, high = float(np.min(times)), float(np.max(times))
            if high > low:
                start, stop = start + low, min(stop, start + high)
        return start, min(stop, start + self.duration)

    def _read(self, path: str, start: float, stop: float) -> np.ndarray:
        """Samples of the stretch at the target rate, (L,) float32, L >= 0."""
        sound = open_sound(path)
        if not start < stop:
            return np.zeros(0, np.float32)
        wave = sound.read(start, stop)
        if sound.channels > 1:
            self._say(0, f'{path} has {sound.channels} channels: averaged')
        if sound.rate != self.sample_rate and wave.size:
            self._say(
                1, f'{path} has a rate of {sound.rate} Hz: resampled to '
                f'{self.sample_rate} Hz')
            wave = soxr.resample(wave, sound.rate, self.sample_rate)
        return wave

    def _say(self, slot: int, message: str) -> None:
        """Log the first case of a kind."""
        if not self._said[slot]:
            self._said[slot] = 1
            print_log(
                f'audio: {message}. Further files like it are treated '
                'likewise and not mentioned',
                logger='current')

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(duration={self.duration}, '
                f'sample_rate={self.sample_rate}, window={self.window!r})')


@TRANSFORMS.register_module()
class AudioSpectrogram(BaseTransform):
    """Standardised log power spectrogram, the VGGSound recipe.

    Equal to ``ln(P + 1e-7)`` of ``scipy.signal.spectrogram(x, sample_rate,
    nperseg=n_fft, noverlap=n_fft - hop_length)``, standardised over all its
    values, to 1e-4, but in float32: segments without padding, each without
    its mean, Tukey(.25) window, one-sided density.

    Required keys: ``audios``, (L,) float32 with L >= n_fft. Modified key:
    ``audios``, (1, 1, F, T) float32 with F = n_fft // 2 + 1 and
    T = (L - n_fft) // hop_length + 1: views, channel, frequency, time.

    Args:
        sample_rate (int): Hz. Defaults to 16000.
        n_fft (int): Samples of a segment. Defaults to 512.
        hop_length (int): Samples between segments. Defaults to 159.

    Raises:
        ValueError: Fewer than n_fft samples, or another rate than
            ``sample_rate``.
    """

    def __init__(self,
                 sample_rate: int = 16000,
                 n_fft: int = 512,
                 hop_length: int = 159) -> None:
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        window = scipy.signal.get_window(('tukey', .25), n_fft)
        # Power per Hz; inner bins stand for their negative twins too.
        scale = np.full(n_fft // 2 + 1, 1 / (sample_rate * (window**2).sum()))
        scale[1:-1 if n_fft % 2 == 0 else None] *= 2
        self._window = window.astype(np.float32)
        self._scale = (scale * 1e7).astype(np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the wave by its spectrogram."""
        wave = results['audios']
        if wave.size < self.n_fft:
            raise ValueError(f'audio: expected at least n_fft={self.n_fft} '
                             f'samples, got {wave.size}')
        rate = results.get('sample_rate', self.sample_rate)
        if rate != self.sample_rate:
            raise ValueError(f'audio: expected {self.sample_rate} Hz, got '
                             f'{rate} Hz; see LoadAudioClip')
        results['audios'] = self.spectrogram(wave)[None, None]
        return results

    def spectrogram(self, wave: np.ndarray) -> np.ndarray:
        """(L,) float32 wave to (F, T) float32, mean 0 and deviation 1."""
        segments = np.lib.stride_tricks.sliding_window_view(
            wave, self.n_fft)[::self.hop_length]
        # A float64 mean leaves exact zeros of a constant offset.
        means = segments.mean(axis=1, keepdims=True, dtype=np.float64)
        segments = (segments - means.astype(np.float32)) * self._window
        spectrum = scipy.fft.rfft(segments, axis=1)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        power *= self._scale
        # ln(P + 1e-7) = ln(1e-7) + log1p(P / 1e-7), and standardising
        # removes the constant: near silence it would swallow a float32 P.
        np.log1p(power, out=power)
        power -= power.mean(dtype=np.float64)
        power /= power.std(dtype=np.float64) + 1e-9
        return np.ascontiguousarray(power.T)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(sample_rate={self.sample_rate}, '
                f'n_fft={self.n_fft}, hop_length={self.hop_length})')


@TRANSFORMS.register_module()
class SpectrogramAugment(BaseTransform):
    """Training noise and a masked band for a standardised spectrogram.

    Each value gets noise of U(-noise, noise); then ``num_rows`` consecutive
    frequency rows, drawn uniformly, become zero in all views. Random numbers
    follow NumPy's global state.

    Required and modified key: ``audios``, (S, 1, F, T) float32.

    Args:
        noise (float): Half width of the noise. Defaults to 0.05; 0 is off.
        num_rows (int): Rows to zero. Defaults to 9; 0 is off.

    Raises:
        ValueError: A negative argument, or more rows than F.
    """

    def __init__(self, noise: float = 0.05, num_rows: int = 9) -> None:
        if noise < 0 or num_rows < 0:
            raise ValueError('expected noise and num_rows of 0 or more, got '
                             f'{noise} and {num_rows}')
        self.noise = noise
        self.num_rows = num_rows

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return a changed copy of the spectrogram."""
        audios = results['audios']
        num_bins = audios.shape[-2]
        if self.num_rows > num_bins:
            raise ValueError(f'expected num_rows of at most {num_bins}, the '
                             f'frequency rows, got {self.num_rows}')
        # The global generator draws float64 only: twice the memory, and a
        # cast to float32 after it.
        generator = np.random.default_rng(np.random.randint(2**31))
        audios = audios + (generator.random(audios.shape, np.float32) - .5) * (
            2 * np.float32(self.noise))
        first = np.random.randint(num_bins - self.num_rows + 1)
        audios[..., first:first + self.num_rows, :] = 0
        results['audios'] = audios
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(noise={self.noise}, '
                f'num_rows={self.num_rows})')
