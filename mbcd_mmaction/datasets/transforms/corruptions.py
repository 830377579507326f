"""Corruptions as steps of a pipeline."""
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..corruptions import CORRUPTIONS, SEVERITIES, clip_generator


@TRANSFORMS.register_module()
class CorruptFrames(BaseTransform):
    """Corrupt decoded frames: blur, brightness, lost frames.

    Stands after decoding, cropping and resizing, before ``FormatShape``: the
    radii of blur are those of the frame that the network sees. A clip is
    corrupted in the same way whenever and for whatever method it is read,
    see :func:`clip_generator`.

    Required keys: ``imgs``, (S * T, H, W, C) uint8 or a list of (H, W, C);
    ``clip_id``. Optional keys: ``num_clips`` (S), ``clip_len`` (T);
    ``modality``, the host's 'RGB' or 'Flow'. Modified key: ``imgs``, of the
    same type and shape.

    Flow was computed from clean frames and is not computed anew: what
    changes colours or sharpness of RGB frames leaves it alone, and is
    refused here. Frames can be lost in it as well.

    Args:
        corruption (str): One of :data:`CORRUPTIONS` of frames.
        severity (int): 1 to 5; 0 changes nothing.
        seed (int): Another number gives another draw. Defaults to 0.

    Raises:
        ValueError: Unknown corruption or severity; a corruption of colour or
            sharpness on flow.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0) -> None:
        _check('frames', corruption, severity)
        self.corruption, self.severity = corruption, severity
        self.seed = seed

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Put corrupted frames in the place of the frames."""
        kind = CORRUPTIONS[self.corruption]
        if results.get('modality') == 'Flow' and not kind.flow:
            flow = [n for n, c in CORRUPTIONS.items() if c.flow]
            raise ValueError(
                f'{self.corruption} is defined for RGB frames, got flow, '
                'which was computed from clean ones: expected one of '
                f'{flow}, or another modality')
        if not self.severity:
            return results
        imgs = results['imgs']
        frames = np.asarray(imgs)
        length = results.get('clip_len', len(frames))
        generator = _generator(self, results)
        parts = [
            kind.apply(frames[first:first + length],
                       kind.levels[self.severity - 1], generator)
            for first in range(0, len(frames), length)
        ]
        frames = np.concatenate(parts)
        results['imgs'] = list(frames) if isinstance(imgs, list) else frames
        return results

    def __repr__(self) -> str:
        return _text(self)


@TRANSFORMS.register_module()
class CorruptSound(BaseTransform):
    """Corrupt a clip's wave: wind or white noise.

    Stands after ``LoadAudioClip``, before ``AudioSpectrogram``. A short clip
    is repeated before, the noise is not.

    Required keys: ``audios``, (L,) float32; ``sample_rate``, Hz;
    ``clip_id``. Modified key: ``audios``, (L,) float32, perhaps beyond
    [-1, 1]. A silent wave stays silent.

    Args:
        corruption (str): One of :data:`CORRUPTIONS` of sound.
        severity (int): 1 to 5; 0 changes nothing.
        seed (int): Another number gives another draw. Defaults to 0.

    Raises:
        ValueError: Unknown corruption or severity; a spectrogram in place of
            a wave.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0) -> None:
        _check('sound', corruption, severity)
        self.corruption, self.severity = corruption, severity
        self.seed = seed

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Put a noisy wave in the place of the wave."""
        wave = results['audios']
        if wave.ndim != 1:
            raise ValueError(
                'audios: expected a wave (L,), got the shape '
                f'{wave.shape}; CorruptSound stands before AudioSpectrogram')
        if self.severity:
            kind = CORRUPTIONS[self.corruption]
            results['audios'] = kind.apply(
                wave, kind.levels[self.severity - 1],
                _generator(self, results), results['sample_rate'])
        return results

    def __repr__(self) -> str:
        return _text(self)


def _check(of: str, corruption: str, severity: int) -> None:
    """Refuse what is no corruption of ``of``, or no severity."""
    names = [name for name, kind in CORRUPTIONS.items() if kind.of == of]
    if corruption not in names:
        raise ValueError(f'corruption of {of}: expected one of {names}, got '
                         f'{corruption!r}')
    if severity not in (0, *SEVERITIES):
        raise ValueError('severity: expected 1 to 5, or 0 for none, got '
                         f'{severity!r}')


def _generator(step: CorruptFrames | CorruptSound,
               results: dict[str, Any]) -> np.random.Generator:
    """The clip's random numbers."""
    if not results.get('clip_id'):
        raise ValueError('expected a clip_id, by which a clip is always '
                         f'corrupted alike, got {sorted(results)}')
    return clip_generator(step.corruption, results['clip_id'], step.seed)


def _text(step: CorruptFrames | CorruptSound) -> str:
    return (f'{step.__class__.__name__}(corruption={step.corruption!r}, '
            f'severity={step.severity}, seed={step.seed})')
