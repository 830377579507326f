"""Optical flow that is kept as two grey videos, and its flip."""
from typing import Any

import numpy as np
from mmaction.datasets.transforms import Flip
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..errors import MediaError
from .video_reader import VideoReader, luma


@TRANSFORMS.register_module()
class FlowVideoInit(BaseTransform):
    """Open the two videos of a flow clip, as the host's DecordInit does one.

    Required keys: ``filename``, a pair of paths: x (or u) and y (or v).
    Added keys: ``video_reader`` (pair), ``total_frames`` (of the shorter),
    ``avg_fps``. The sampling transforms of the host follow.

    Raises:
        ValueError: ``filename`` is not a pair.
        MediaError, OSError, av.error.FFmpegError: A file is unusable.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Open both files and count their frames without decoding."""
        names = results['filename']
        if isinstance(names, str) or len(names) != 2:
            raise ValueError(
                'flow: expected filename to be the pair of paths of the x '
                f'and y videos, got {names!r}')
        readers = tuple(VideoReader(name) for name in names)
        results['video_reader'] = readers
        results['total_frames'] = min(r.num_frames for r in readers)
        results['avg_fps'] = readers[0].avg_fps
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


@TRANSFORMS.register_module()
class FlowVideoDecode(BaseTransform):
    """Read the sampled flow frames.

    Required keys: ``video_reader``, ``frame_inds``. Added keys: ``imgs``, a
    list of (H, W, 2) uint8 arrays with channels x, y, 128 being no motion;
    ``original_shape`` and ``img_shape``, (H, W).

    Raises:
        MediaError: Frames cannot be decoded, or x and y differ in size.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Decode each file once, from the key frame before the window."""
        readers = results['video_reader']
        indices = np.asarray(results['frame_inds']).reshape(-1).tolist()
        x, y = (reader.read(indices, luma) for reader in readers)
        shape = x[indices[0]].shape
        if y[indices[0]].shape != shape:
            raise MediaError(
                readers[1].path,
                f'its frames are {y[indices[0]].shape}, those of the x '
                f'component in {readers[0].path} are {shape} (H, W)')
        # A window longer than the clip wraps round. Each of its frames gets
        # memory of its own, for transforms that work in place.
        imgs = np.empty((len(indices), *shape, 2), np.uint8)
        for position, index in enumerate(indices):
            imgs[position, ..., 0] = x[index]
            imgs[position, ..., 1] = y[index]
        results['video_reader'] = None
        results['imgs'] = list(imgs)
        results['original_shape'] = shape
        results['img_shape'] = shape
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


@TRANSFORMS.register_module()
class FlowFlip(Flip):
    """Flip of flow frames: mirrored, with the x component inverted.

    The host's ``Flip`` expects frames x, y, x, y ... of two axes each and
    inverts every even one; since MMAction2 1.x decodes flow to (H, W, 2) it
    inverts x *and* y of every second frame and nothing of the others. Here
    channel 0 of every frame becomes 255 - x. Frames of two axes are treated
    as the host does.

    Args:
        flip_ratio (float): Probability. Defaults to 0.5.
        direction (str): 'horizontal'; the host allows no other for flow.
    """

    def _flip_imgs(self, imgs: list[np.ndarray],
                   modality: str) -> list[np.ndarray]:
        if modality != 'Flow' or imgs[0].ndim == 2:
            return super()._flip_imgs(imgs, modality)
        flipped = super()._flip_imgs(imgs, modality='RGB')
        for img in flipped:
            np.subtract(255, img[..., 0], out=img[..., 0])
        return flipped
