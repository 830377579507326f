"""A straightforward loader of the same samples, to measure against.

What the public code for these sets does, written anew: decode the whole clip
to RGB, read the whole recording as float64, take what is needed, resize
every frame twice and normalise to float32 in the loader.
"""
import av
import mmcv
import numpy as np
import scipy.signal
import soundfile
from mmaction.datasets.transforms import RandomResizedCrop

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)


def sample(record: dict) -> dict[str, np.ndarray]:
    """All three modalities of one record.

    Args:
        record (dict): As the datasets list it.

    Returns:
        dict: video (3, 32, 224, 224), flow (2, 8, 224, 224) and audio
        (1, 257, 1004), float32.
    """
    return {name: read(record['sources'][name])
            for name, read in READERS.items()}


def rgb(source: dict) -> np.ndarray:
    """(3, 32, 224, 224) float32, normalised."""
    frames = _view(_pick(_all_frames(source['filename']), 32, 2))
    frames = (frames.astype(np.float32) - MEAN) / STD
    return np.ascontiguousarray(frames.transpose(3, 0, 1, 2))


def flow(source: dict) -> np.ndarray:
    """(2, 8, 224, 224) float32, normalised."""
    parts = [[mmcv.bgr2gray(frame) for frame in _all_frames(name)]
             for name in source['filename']]
    frames = [np.stack(pair, -1) for pair in zip(*parts, strict=False)]
    frames = (_view(_pick(frames, 8, 4)).astype(np.float32) - 128) / 128
    return np.ascontiguousarray(frames.transpose(3, 0, 1, 2))


def audio(source: dict) -> np.ndarray:
    """(1, 257, 1004) float32, standardised."""
    wave, rate = soundfile.read(source['filename'])
    if source.get('segment'):
        start, stop = source['segment']
        wave = wave[int(start * rate):int(stop * rate)]
    wave = np.clip(np.resize(wave, 10 * rate), -1, 1)
    _, _, power = scipy.signal.spectrogram(wave, rate, nperseg=512,
                                           noverlap=353)
    power = np.log(power + 1e-7)
    power = (power - power.mean()) / (power.std() + 1e-9)
    power = power + np.random.uniform(-.05, .05, power.shape)
    return power[None].astype(np.float32)


READERS = dict(video=rgb, flow=flow, audio=audio)


def _all_frames(path: str) -> np.ndarray:
    """The whole clip, (T, H, W, 3)."""
    with av.open(path) as file:
        return np.stack([frame.to_ndarray(format='rgb24')
                         for frame in file.decode(video=0)])


def _pick(frames, count: int, step: int) -> list:
    """A random window."""
    offset = np.random.randint(max(len(frames) - count * step, 0) + 1)
    return [frames[(offset + step * n) % len(frames)] for n in range(count)]


def _view(frames: list) -> np.ndarray:
    """Resize, random crop, resize, flip: (T, 224, 224, C) uint8."""
    height, width = frames[0].shape[:2]
    scale = 256 / min(height, width)
    size = round(width * scale), round(height * scale)
    frames = [mmcv.imresize(frame, size) for frame in frames]
    left, top, right, bottom = RandomResizedCrop.get_crop_bbox(
        frames[0].shape[:2], (0.08, 1.0), (3 / 4, 4 / 3))
    frames = [mmcv.imresize(frame[top:bottom, left:right], (224, 224))
              for frame in frames]
    if np.random.rand() < .5:
        frames = [mmcv.imflip(frame) for frame in frames]
    return np.stack(frames)
