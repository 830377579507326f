"""A straightforward loader of the same samples, to measure against.

What the loaders released with SimMMDG, MOOSA, CMRF and MBCD do (the data
code of SimMMDG, and its port in MMDG_Benchmark), operation for operation,
written anew:

- RGB and both flow clips are read whole, as ``imageio.v3.imread(path,
  plugin='pyav')`` reads: frame threads, each frame converted to RGB by
  itself and copied into one array of the whole clip.
- A window is drawn from all frames but the last, and frame n - 1 taken for
  n. Flow becomes grey after that, so of the window's frames alone.
- MMAction 0.x's training pipeline over the window: every frame is resized
  to a short side of 256, cropped, resized to 224 and mirrored in place;
  flow's x component is inverted; all become float32 and are normalised.
- The wav is read whole as float64, cut, tiled to 10 s and clipped;
  ``scipy.signal.spectrogram`` and all after it is float64 up to the end.
- The channels come first in a copy, which collation makes there.

RGB and flow frames are PyAV's here too: this file needs nothing else. With
:func:`read_by_imageio` the very function is called, in the release that is
installed.
"""
import av
import cv2
import mmcv
import numpy as np
import scipy.signal
import soundfile
from mmaction.datasets.transforms import RandomResizedCrop

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
RATE = 24  # frames per second, as the code for HAC has it
ROWS = 9


def sample(record: dict) -> dict[str, np.ndarray]:
    """All three modalities of one record.

    Args:
        record (dict): As the datasets list it.

    Returns:
        dict: video (3, 32, 224, 224), flow (2, 8, 224, 224) and audio
        (1, 257, 1004), float32.
    """
    sources = record['sources']
    frames, inds = _rgb(sources['video'])
    return dict(video=frames, flow=flow(sources['flow']),
                audio=audio(sources['audio'], inds))


def rgb(source: dict) -> np.ndarray:
    """(3, 32, 224, 224) float32, normalised."""
    return _rgb(source)[0]


def _rgb(source: dict) -> tuple[np.ndarray, np.ndarray]:
    """The same, and the numbers of the frames that were drawn."""
    video = whole_clip(source['filename'])
    inds = _window(len(video), 32, 2)
    frames = _view([video[_place(n, len(video))] for n in inds], 1)
    stack = np.empty((len(frames), *frames[0].shape), np.float32)
    for place, frame in enumerate(frames):
        stack[place] = frame
    for frame in stack:
        mmcv.imnormalize_(frame, MEAN, STD, to_rgb=False)
    return np.ascontiguousarray(stack.transpose(3, 0, 1, 2)), inds


def flow(source: dict) -> np.ndarray:
    """(2, 8, 224, 224) float32, normalised."""
    parts = [whole_clip(name) for name in source['filename']]
    count = len(parts[0])
    frames = []
    for number in _window(count, 8, 4):
        frames += [
            cv2.cvtColor(part[min(_place(number, count), len(part) - 1)],
                         cv2.COLOR_RGB2GRAY) for part in parts
        ]
    frames = _view(frames, 2)
    stacks = []
    for first in (0, 1):
        stack = np.empty((len(frames) // 2, *frames[0].shape), np.float32)
        for place, frame in enumerate(frames[first::2]):
            stack[place] = frame
        stacks.append((stack - 128) / 128)
    return np.ascontiguousarray(np.stack(stacks, -1).transpose(3, 0, 1, 2))


def audio(source: dict, inds: np.ndarray | None = None) -> np.ndarray:
    """(1, 257, 1004) float32, standardised.

    Args:
        source (dict): With a ``segment`` that, as EPIC-Kitchens has it; else
            the seconds of the frames are taken, as for HAC.
        inds (np.ndarray, optional): Numbers of the frames. Defaults to None:
            the whole recording.
    """
    wave, rate = soundfile.read(source['filename'])
    start, stop = 0, len(wave) / rate
    if source.get('segment'):
        start, stop = source['segment']
    elif inds is not None:
        start, stop = inds[0] / RATE, inds[-1] / RATE
    wave = wave[round(start * rate):round(stop * rate)][:160000]
    if not len(wave):
        wave = np.zeros(160000)
    while len(wave) < 160000:
        wave = np.tile(wave, 10)[:160000]
    wave[wave > 1.] = 1.
    wave[wave < -1.] = -1.
    _, _, power = scipy.signal.spectrogram(wave, rate, nperseg=512,
                                           noverlap=353)
    power = np.log(power + 1e-7)
    power = (power - np.mean(power)) / (np.std(power) + 1e-9)
    power = power + np.random.uniform(-.05, .05, power.shape)
    first = np.random.randint(256 - ROWS)
    power[first:first + ROWS] = 0
    return power.astype(np.float32)[None]


READERS = dict(video=rgb, flow=flow, audio=audio)
_imageio = []


def read_by_imageio() -> str:
    """Have imageio read whole clips from now on; returns its release.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import imageio
        import imageio.v3
    except ImportError as error:
        raise ImportError('--imageio measures against imageio itself: '
                          "pip install 'imageio>=2.38'") from error
    _imageio[:] = [imageio.v3]
    return imageio.__version__


def whole_clip(path: str) -> np.ndarray:
    """(T, H, W, 3) uint8, the whole clip."""
    if _imageio:
        return _imageio[0].imread(path, plugin='pyav')
    with av.open(path) as file:
        stream = file.streams.video[0]
        stream.thread_type = 'FRAME'
        context = stream.codec_context
        frames = np.empty((stream.frames, context.height, context.width, 3),
                          np.uint8)
        for place, frame in enumerate(file.decode(video=0)):
            plane = frame.reformat(format='rgb24').planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(
                frame.height, plane.line_size)[:, :3 * frame.width]
            frames[place] = rows.reshape(frame.height, frame.width, 3)
    return frames


def _window(total: int, count: int, step: int) -> np.ndarray:
    """Numbers of a random window over all frames but the last."""
    total -= 1
    offset = np.random.randint(max(total - count * step + 1, 1))
    return (offset + step * np.arange(count)) % total


def _place(number: int, total: int) -> int:
    """Where frame ``number`` is looked for: one before it."""
    return min(max(number - 1, 0), total - 1)


def _view(frames: list, components: int) -> list[np.ndarray]:
    """Resize, random crop, resize, flip; flow frames are x, y, x, y ..."""
    height, width = frames[0].shape[:2]
    scale = 256 / min(height, width)
    size = round(width * scale), round(height * scale)
    frames = [mmcv.imresize(frame, size) for frame in frames]
    left, top, right, bottom = RandomResizedCrop.get_crop_bbox(
        frames[0].shape[:2], (0.08, 1.0), (3 / 4, 4 / 3))
    frames = [mmcv.imresize(frame[top:bottom, left:right], (224, 224))
              for frame in frames]
    if np.random.rand() < .5:
        for place, frame in enumerate(frames):
            mmcv.imflip_(frame)
            if components == 2 and place % 2 == 0:
                frames[place] = mmcv.iminvert(frame)
    return frames
