"""Which part of a frame is seen: crop, one resize, flip."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import mmcv
import numpy as np
from mmaction.datasets.transforms import RandomResizedCrop
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@dataclass(frozen=True)
class View:
    """A crop of a frame, resized once and perhaps mirrored.

    Planned before frames are read, it lets the reader shrink each frame as
    it comes: 32 frames of 4k never lie in memory together.

    Attributes:
        box (tuple): Left, top, right, bottom in pixels, right and bottom
            excluded.
        size (tuple): (H, W) of the result in pixels.
        flip (bool): Whether left and right change places.
    """
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    flip: bool = False

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Apply to one frame.

        Args:
            frame (np.ndarray): (H, W) or (H, W, C) uint8.

        Returns:
            np.ndarray: (*size) or (*size, C), perhaps a view of ``frame``.
        """
        frame = self._resized(frame, None)
        return frame[:, ::-1] if self.flip else frame

    def write(self, frame: np.ndarray, out: np.ndarray) -> None:
        """Apply to one frame and put the result where it is wanted.

        Args:
            frame (np.ndarray): (H, W) or (H, W, C) uint8.
            out (np.ndarray): (*size) or (*size, C) uint8, in one piece of
                memory.
        """
        if self.flip:
            cv2.flip(self._resized(frame, None), 1, dst=out)
            return
        result = self._resized(frame, out)
        if result is not out:
            np.copyto(out, result)

    def _resized(self, frame: np.ndarray,
                 out: np.ndarray | None) -> np.ndarray:
        """The box of a frame in the wanted size, in ``out`` if resized."""
        left, top, right, bottom = self.box
        frame = frame[top:bottom, left:right]
        if frame.shape[:2] == self.size:
            return frame
        return mmcv.imresize(frame, self.size[::-1], out=out)


@TRANSFORMS.register_module()
class RandomView(BaseTransform):
    """Plan a random crop, one resize and a random flip.

    In distribution the same as the host's Resize (short side),
    RandomResizedCrop, Resize and Flip, with one interpolation instead of
    two. Stands before :class:`ClipDecode`, which applies the plan, and
    inverts the x component of mirrored flow.

    Required key: ``img_shape``, (H, W) of the clip's frames. Added key:
    ``view``. With ``aligned=True`` in :class:`MultiModalPipeline` the first
    modality draws the relative box and the flip, and the others take them.

    Args:
        size (int | tuple[int, int]): Of the result, pixels; a pair is H, W.
            Defaults to 224.
        area_range (tuple[float, float]): Share of the frame's area. Defaults
            to (0.08, 1.0).
        aspect_ratio_range (tuple[float, float]): Width over height, before
            the resize. Defaults to (3 / 4, 4 / 3).
        flip_ratio (float): Probability in [0, 1]. Defaults to 0.5.

    Raises:
        ValueError: A size or ratio out of range.
    """

    def __init__(self,
                 size: int | Sequence[int] = 224,
                 area_range: Sequence[float] = (0.08, 1.0),
                 aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
                 flip_ratio: float = 0.5) -> None:
        self.size = _size(size)
        self.area_range = tuple(area_range)
        self.aspect_ratio_range = tuple(aspect_ratio_range)
        self.flip_ratio = flip_ratio
        low, high = self.area_range
        thin, wide = self.aspect_ratio_range
        if not (0 < low <= high <= 1 and 0 < thin <= wide
                and 0 <= flip_ratio <= 1):
            raise ValueError(
                'expected 0 < area_range <= 1, 0 < aspect_ratio_range and '
                f'flip_ratio in [0, 1], got {self.area_range}, '
                f'{self.aspect_ratio_range} and {flip_ratio}')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw, or take what the first modality drew."""
        shared = results.get('shared', {}) if results.get('aligned') else {}
        if 'view' not in shared:
            shared['view'] = self._draw(*results['img_shape'])
        box, flip = shared['view']
        results['view'] = View(
            _to_pixels(box, *results['img_shape']), self.size, flip)
        return results

    def _draw(self, height: int, width: int) -> tuple[np.ndarray, bool]:
        """A box relative to the frame, (left, top, right, bottom), and a
        flip."""
        box = RandomResizedCrop.get_crop_bbox(
            (height, width), self.area_range, self.aspect_ratio_range)
        flip = bool(np.random.rand() < self.flip_ratio)
        return np.array(box) / [width, height, width, height], flip

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(size={self.size}, '
                f'area_range={self.area_range}, '
                f'aspect_ratio_range={self.aspect_ratio_range}, '
                f'flip_ratio={self.flip_ratio})')


@TRANSFORMS.register_module()
class CenterView(BaseTransform):
    """Plan the central crop of a frame whose short side were ``short_side``.

    What the host's Resize (short side) and CenterCrop see, with the frame's
    own pixels resized once. Stands before :class:`ClipDecode`.

    Required key: ``img_shape``, (H, W). Added key: ``view``.

    Args:
        size (int | tuple[int, int]): Of the result, pixels; a pair is H, W.
            Defaults to 224.
        short_side (int): Pixels, at least ``size``. Defaults to 256.

    Raises:
        ValueError: A size that is not positive, or larger than short_side.
    """

    def __init__(self,
                 size: int | Sequence[int] = 224,
                 short_side: int = 256) -> None:
        self.size = _size(size)
        self.short_side = short_side
        if max(self.size) > short_side:
            raise ValueError(f'expected a short_side of at least size, got '
                             f'size={self.size} and short_side={short_side}')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Centre the box."""
        height, width = results['img_shape']
        scale = min(height, width) / self.short_side
        tall, wide = (side * scale for side in self.size)
        box = np.array([width - wide, height - tall, width + wide,
                        height + tall]) / 2
        results['view'] = View(
            _to_pixels(box / [width, height, width, height], height, width),
            self.size)
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(size={self.size}, '
                f'short_side={self.short_side})')


def _size(size: int | Sequence[int]) -> tuple[int, int]:
    """(H, W) of a side or a pair."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError('expected size to be a positive number of pixels or '
                         f'a pair of them, got {size!r}')
    return pair


def _to_pixels(box: np.ndarray, height: int,
               width: int) -> tuple[int, int, int, int]:
    """A relative box in pixels of a frame, at least one pixel each way."""
    left, top, right, bottom = np.rint(
        np.asarray(box) * [width, height, width, height]).astype(int).tolist()
    left, top = min(left, width - 1), min(top, height - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)
