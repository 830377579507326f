"""Optical flow of a clip as two grey videos."""
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import cv2
import numpy as np

from ..errors import MediaError
from ..readers import VideoReader
from .encode import VideoWriter

METHODS = ('dis', 'tvl1')
STEPS = (1, 2)  # full and half rate
BOUND = 20  # pixels

# Near lossless for what 255 levels can hold; every frame is soon reached.
_QUALITY = 18
_KEY_INTERVAL = 16


def flow_method(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function from two grey frames to the flow from first to second.

    Args:
        name (str): 'dis' (fast) or 'tvl1' (far slower, what most
            published sets used).

    Returns:
        Callable: (H, W) uint8 twice to (H, W, 2) float32: x (rightwards) and
        y (downwards) in pixels.

    Raises:
        ValueError: Another name, or an OpenCV without TV-L1.
    """
    if name == 'dis':
        method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    elif name == 'tvl1':
        if not hasattr(cv2, 'optflow'):
            raise ValueError(
                "method 'tvl1' expects OpenCV with its contrib modules, got "
                f'OpenCV {cv2.__version__} without: reinstall '
                "opencv-contrib-python, or use 'dis'")
        method = cv2.optflow.DualTVL1OpticalFlow_create()
    else:
        raise ValueError(f'method: expected one of {list(METHODS)}, got '
                         f'{name!r}')
    return lambda one, two: method.calc(one, two, None)


def quantise(field: np.ndarray) -> np.ndarray:
    """Flow in pixels to grey levels: rint((f + 20) * 255 / 40).

    Flow is cut to [-20, 20] first. As MMAction2's own extraction, except
    that it rounds where that cuts off: no motion is 128 (not 127), and
    ``level * 40 / 255 - 20`` is wrong by half a level, 0.08 pixels, at most.

    Args:
        field (np.ndarray): Float, any shape.

    Returns:
        np.ndarray: uint8, same shape.
    """
    levels = np.rint((field + BOUND) * (255 / (2 * BOUND)))
    return np.clip(levels, 0, 255).astype(np.uint8)


def even_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """The size at which flow is computed.

    Args:
        height (int): Of the frames, pixels.
        width (int): Of the frames, pixels.
        short_side (int): The shorter side after resizing; 0 keeps the size.

    Returns:
        tuple[int, int]: (H, W), both even, as yuv420p needs.
    """
    scale = short_side / min(height, width) if short_side else 1
    high, wide = (max(2 * round(side * scale / 2), 2)
                  for side in (height, width))
    return high, wide


def write_flow(x_path: str,
               y_path: str,
               video: str,
               segment: tuple[float, float | None] | None = None,
               method: str = 'dis',
               step: int = 1,
               short_side: int = 256) -> None:
    """Compute the flow of a clip and write it as two grey mp4 files.

    Frame i is the flow from video frame ``i * step`` to ``(i + 1) * step``,
    lies at the time of the first of them, counted from the clip's first
    frame, and is measured in pixels of the resized frame. N video frames
    give (N - 1) // step flow frames.

    Args:
        x_path (str): File for the flow to the right.
        y_path (str): File for the flow downwards.
        video (str): Any video file; a rotated one is put upright.
        segment (tuple, optional): Start and stop (None: the end) of the clip
            in the file, seconds. Defaults to None: the whole file.
        method (str): 'dis' or 'tvl1'. Defaults to 'dis'.
        step (int): Flow from every ``step``-th frame to the next such; 2
            gives half the rate. Defaults to 1.
        short_side (int): Short side at which flow is computed, pixels; 0
            keeps the size. Defaults to 256.

    Raises:
        MediaError, OSError, av.error.FFmpegError: The video is unusable, or
            too short for any flow.
    """
    calculate = flow_method(method)
    reader = VideoReader(video, segment)
    count = (reader.num_frames - 1) // step
    if count < 1:
        raise MediaError(
            video, f'flow needs at least {step + 1} frames, the clip has '
            f'{reader.num_frames}')
    size = even_size(*reader.shape, short_side)
    frames = _grey_frames(reader, range(0, count * step + 1, step), size)
    times = reader.times[::step] - reader.times[0]
    if not times[count] > 0:
        raise MediaError(video, 'it does not tell when its frames are shown')
    rate = Fraction(count / times[count]).limit_denominator(1001)
    with VideoWriter(x_path, rate, _QUALITY, _KEY_INTERVAL, timed=True) as x, \
            VideoWriter(y_path, rate, _QUALITY, _KEY_INTERVAL,
                        timed=True) as y:
        for time, field in zip(times, _fields(frames, calculate),
                               strict=False):
            levels = quantise(field)
            x.write(levels[..., 0], time)
            y.write(levels[..., 1], time)


def _fields(
    frames: Iterable[np.ndarray],
    calculate: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """Flow from each frame to the next."""
    before = None
    for frame in frames:
        if before is not None:
            yield calculate(before, frame)
        before = frame


def _grey_frames(reader: VideoReader, numbers: range,
                 size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Frames as (H, W) uint8 grey, in order, resized as they are read."""
    ahead, due = {}, iter(numbers)
    following = next(due)
    for number, frame in reader.frames(numbers, kind='grey'):
        # Hardly ever does a stream give its frames in another order.
        ahead[number] = _resized(frame, size)
        while following in ahead:
            yield ahead.pop(following)
            following = next(due, None)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame of another size, in memory of its own."""
    if frame.shape == size:
        return frame.copy()
    shrinks = frame.shape[0] > size[0]
    return cv2.resize(
        frame, size[::-1],
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
