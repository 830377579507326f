"""Corruptions of frames and of sound at five severities.

Pure functions of a clip, a level and a generator; the table
:data:`CORRUPTIONS` says which level a severity is. Sources are named at each
function; docs/robustness.md compares them with the published recipes.
"""
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

__all__ = [
    'CORRUPTIONS', 'SEVERITIES', 'Corruption', 'brightness', 'clip_generator',
    'defocus_blur', 'disc', 'frame_drop', 'white_noise', 'wind_noise'
]

SEVERITIES = (1, 2, 3, 4, 5)
# The side of the pictures that ImageNet-C states its radii for, pixels.
_PUBLISHED_SIDE = 224
# Points of a pixel, each way, at which the disc is sampled.
_POINTS = 16
# Wind: Hz below which there is none, seconds from gust to gust, and how much
# the logarithm of the loudness of gusts varies.
_WIND_FLOOR, _GUST_SECONDS, _GUST_SPREAD = 20.0, 0.25, 0.6


def clip_generator(corruption: str, clip_id: str,
                   seed: int = 0) -> np.random.Generator:
    """Random numbers that belong to a clip, and to nothing else.

    Neither the order of clips, nor the worker, nor the method that is tested
    changes them. Severities of one corruption share them: the same noise,
    louder, and the same frames dropped, and more.

    Args:
        corruption (str): Its name.
        clip_id (str): The clip's name.
        seed (int): Another number gives another draw. Defaults to 0.
    """
    text = f'{corruption}\n{clip_id}\n{seed}'
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, '<u4'))


def disc(radius: float) -> np.ndarray:
    """The picture of a point out of focus, (R, R) float32 of sum 1.

    ImageNet-C draws a disc of whole pixels and softens its edge with a
    Gaussian ("alias blur"); here each pixel holds the share of it that the
    disc covers, which serves radii below one pixel as well.

    Args:
        radius (float): Pixels, 0 or more.
    """
    reach = math.ceil(radius)
    steps = (np.arange((2 * reach + 1) * _POINTS) + .5) / _POINTS
    squares = (steps - reach - .5)**2
    inside = squares[:, None] + squares <= radius**2
    side = 2 * reach + 1
    kernel = inside.reshape(side, _POINTS, side, _POINTS).mean((1, 3))
    if not kernel.any():
        kernel[reach, reach] = 1
    return (kernel / kernel.sum()).astype(np.float32)


def defocus_blur(frames: np.ndarray, level: float,
                 generator: np.random.Generator) -> np.ndarray:
    """Put a clip out of focus (ImageNet-C, Hendrycks and Dietterich 2019).

    Args:
        frames (np.ndarray): (T, H, W, C) uint8.
        level (float): Radius of the disc in pixels of a frame whose short
            side is 224, as published; other frames are blurred alike.
        generator (np.random.Generator): Not used.

    Returns:
        np.ndarray: (T, H, W, C) uint8; borders are mirrored.
    """
    del generator
    kernel = disc(level * min(frames.shape[1:3]) / _PUBLISHED_SIDE)
    return np.stack([
        cv2.filter2D(frame, -1, kernel).reshape(frame.shape)
        for frame in frames
    ])


def brightness(frames: np.ndarray, level: float,
               generator: np.random.Generator) -> np.ndarray:
    """Brighten a clip (ImageNet-C, Hendrycks and Dietterich 2019).

    The value of HSV, max(R, G, B), rises by ``level`` and is cut at 1; hue
    and saturation stay, so that R, G and B grow in proportion.

    Args:
        frames (np.ndarray): (T, H, W, 3) uint8.
        level (float): Added to the value, in [0, 1].
        generator (np.random.Generator): Not used.

    Returns:
        np.ndarray: (T, H, W, 3) uint8, rounded.
    """
    del generator
    value = frames.max(-1, keepdims=True).astype(np.float32)
    wanted = np.minimum(value + np.float32(255 * level), 255)
    # Black has no hue and no saturation: it becomes grey.
    brighter = np.where(value > 0, frames * (wanted / np.maximum(value, 1)),
                        wanted)
    return np.rint(brighter).astype(np.uint8)


def frame_drop(frames: np.ndarray, level: float,
               generator: np.random.Generator) -> np.ndarray:
    """Lose frames; the last one that arrived is shown in their place.

    A player that waits for data does so ("freezing" in Schiappa et al.
    2023). The first frame always arrives.

    Args:
        frames (np.ndarray): (T, H, W, C), RGB or flow.
        level (float): Share of the T frames that is lost, rounded up to a
            whole number of frames, at most T - 1.
        generator (np.random.Generator): Draws which ones. A higher level
            loses the same and more.

    Returns:
        np.ndarray: (T, H, W, C) of the same type.
    """
    count = len(frames)
    lost = min(math.ceil(level * count - 1e-9), count - 1)
    arrived = np.ones(count, bool)
    arrived[1 + generator.permutation(count - 1)[:lost]] = False
    shown = np.maximum.accumulate(np.where(arrived, np.arange(count), 0))
    return frames[shown]


def white_noise(wave: np.ndarray, level: float,
                generator: np.random.Generator, rate: int) -> np.ndarray:
    """Add Gaussian noise of equal power at all frequencies.

    Args:
        wave (np.ndarray): (L,) float32.
        level (float): Signal-to-noise ratio, dB; see :func:`_add`.
        generator (np.random.Generator): Draws the noise.
        rate (int): Not used.

    Returns:
        np.ndarray: (L,) float32.
    """
    del rate
    return _add(wave, generator.standard_normal(wave.size), level)


def wind_noise(wave: np.ndarray, level: float,
               generator: np.random.Generator, rate: int) -> np.ndarray:
    """Add the rumble of wind in a microphone, in gusts.

    What Nelke and Vary (IWAENC 2014) measured, in its simplest form: power
    falls with the square of the frequency above 20 Hz, and the loudness
    changes at random about every quarter of a second. No recording is used,
    so that everybody has the same wind.

    Args:
        wave (np.ndarray): (L,) float32.
        level (float): Signal-to-noise ratio, dB; see :func:`_add`.
        generator (np.random.Generator): Draws the noise.
        rate (int): Hz.

    Returns:
        np.ndarray: (L,) float32.
    """
    hertz = np.fft.rfftfreq(wave.size, 1 / rate)
    shape = np.where(hertz < _WIND_FLOOR, 0, 1 / np.maximum(hertz, 1))
    rumble = np.fft.irfft(
        shape * np.fft.rfft(generator.standard_normal(wave.size)), wave.size)
    seconds = np.arange(wave.size) / rate
    gusts = np.arange(0, wave.size / rate + _GUST_SECONDS, _GUST_SECONDS)
    loudness = np.exp(_GUST_SPREAD * generator.standard_normal(gusts.size))
    return _add(wave, rumble * np.interp(seconds, gusts, loudness), level)


def _add(wave: np.ndarray, noise: np.ndarray, ratio: float) -> np.ndarray:
    """A wave with noise of a given signal-to-noise ratio.

    The ratio is that of the mean squares over the whole wave. Nothing is
    clipped, which would change it; a silent wave has no ratio, and stays
    silent.

    Args:
        wave (np.ndarray): (L,) float32.
        noise (np.ndarray): (L,), of any power.
        ratio (float): dB.
    """
    power = np.square(noise, dtype=np.float64).mean()
    signal = np.square(wave, dtype=np.float64).mean()
    if not power:  # a wave too short for the lowest frequency
        return wave.copy()
    scale = math.sqrt(signal / power) * 10**(-ratio / 20)
    return (wave + scale * noise).astype(np.float32)


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        apply (Callable): See the functions of this file.
        of (str): 'frames' or 'sound'.
        levels (tuple): One of each severity, mildest first.
        unit (str): What a level is.
        flow (bool): Whether optical flow may be corrupted so as well.
    """
    apply: Callable[..., np.ndarray]
    of: str
    levels: tuple[float, float, float, float, float]
    unit: str
    flow: bool = False


CORRUPTIONS = dict(
    defocus_blur=Corruption(
        defocus_blur, 'frames', (3, 4, 6, 8, 10),
        'radius, pixels of a frame of 224'),
    brightness=Corruption(
        brightness, 'frames', (.1, .2, .3, .4, .5), 'added to the value'),
    frame_drop=Corruption(
        frame_drop, 'frames', (.1, .2, .4, .6, .8), 'share of frames lost',
        flow=True),
    wind_noise=Corruption(
        wind_noise, 'sound', (10, 5, 0, -5, -10), 'signal to noise, dB'),
    white_noise=Corruption(
        white_noise, 'sound', (10, 5, 0, -5, -10), 'signal to noise, dB'))
