"""Frames of a clip: from a video, two grey videos, or folders of images."""
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..errors import MediaError
from ..readers import (
    DECODERS,
    ClipReader,
    FrameFolderReader,
    VideoReader,
)
from .view import View


@TRANSFORMS.register_module()
class ClipInit(BaseTransform):
    """Open a clip's frames, as the host's DecordInit opens a video.

    Required keys: ``filename``, a path, or for flow the pair of paths of x
    (or u) and y (or v). Optional keys: ``segment``, start and stop in
    seconds within the file, or None for all of it. Where ``template`` is
    given, the paths are folders of numbered images, and ``first``,
    ``total_frames`` and ``fps`` are required; see
    :class:`FrameFolderReader`.

    Added keys: ``clip_readers``, a tuple of one reader or two;
    ``total_frames`` (of the shorter); ``avg_fps``; ``frame_times``,
    (total_frames,) float64 seconds since the clip's start; ``start_index``,
    0; ``img_shape``, (H, W) as the frames are shown. Sampling follows.

    Args:
        decoder (str): 'pyav' or, for RGB only, 'decord'. Defaults to
            'pyav'.

    Raises:
        ValueError: Unknown decoder; flow that is not a pair, or is to be
            read by decord.
        MediaError, OSError, av.error.FFmpegError: A file is unusable, or x
            and y differ in size.
    """

    def __init__(self, decoder: str = 'pyav') -> None:
        if decoder not in DECODERS:
            raise ValueError(f'decoder: expected one of {sorted(DECODERS)}, '
                             f'got {decoder!r}')
        self.decoder = decoder

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Open each file and count its frames."""
        names = results['filename']
        flow = results.get('modality') == 'Flow'
        if isinstance(names, str) == flow or len(names) != 2 and flow:
            wanted = 'the pair of paths of x and y' if flow else 'one path'
            raise ValueError(f'{results.get("modality")}: expected filename '
                             f'to be {wanted}, got {names!r}')
        if flow and self.decoder != 'pyav' and not results.get('template'):
            raise ValueError(
                f'flow: decoder={self.decoder!r} gives RGB only, and grey '
                "levels made of it are rounded twice: expected 'pyav'")
        names = names if flow else (names, )
        readers = tuple(self._open(name, results) for name in names)
        for reader in readers[1:]:
            if reader.shape != readers[0].shape:
                raise MediaError(
                    reader.path, f'its frames are {reader.shape}, those of '
                    f'the x component in {readers[0].path} are '
                    f'{readers[0].shape} (H, W)')
        shorter = min(readers, key=lambda reader: reader.num_frames)
        results.update(
            clip_readers=readers,
            total_frames=shorter.num_frames,
            avg_fps=readers[0].fps,
            frame_times=shorter.times,
            start_index=0,
            img_shape=readers[0].shape)
        return results

    def _open(self, name: str, results: dict[str, Any]) -> ClipReader:
        """The reader of one file or folder."""
        if results.get('template'):
            return FrameFolderReader(name, results['template'],
                                     results['first'],
                                     results['total_frames'], results['fps'])
        return VideoReader(name, results.get('segment'), self.decoder)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(decoder={self.decoder!r})'


@TRANSFORMS.register_module()
class ClipDecode(BaseTransform):
    """Read the sampled frames, each file once and each frame once.

    Required keys: ``clip_readers``, removed at the end, and ``frame_inds``.
    Optional key: ``view``, called with each frame, (H, W, 3) or (H, W),
    before the next is decoded, so that full frames never pile up; it has
    ``size``, (h, w), of what it returns, and ``flip``.

    Added keys: ``imgs``, an array (N, h, w, 3) uint8, or for flow
    (N, h, w, 2) with the channels x, y and 128 being no motion; those that a
    view has mirrored have 255 - x. Each frame is memory of its own, also
    where one was drawn twice. ``original_shape``, (H, W) of the file;
    ``img_shape``, (h, w).

    Raises:
        MediaError, av.error.FFmpegError: Frames cannot be decoded.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Decode each file once, from the key frame before the window."""
        readers = results.pop('clip_readers')
        view = results.get('view')
        places: dict[int, list[int]] = {}
        indices = np.asarray(results['frame_inds']).reshape(-1).tolist()
        for place, index in enumerate(indices):
            places.setdefault(index, []).append(place)
        flow = len(readers) == 2
        shape = readers[0].shape if view is None else tuple(view.size)
        count = len(indices)
        # Flow is read component by component, each in one piece of memory.
        parts = [np.empty((count, *shape) + (() if flow else (3, )), np.uint8)
                 for _ in readers]
        for reader, out in zip(readers, parts, strict=True):
            kind = 'grey' if flow else 'rgb'
            for index, frame in reader.frames(indices, kind):
                first, *others = places[index]
                _put(frame, view, out[first])
                for place in others:
                    out[place] = out[first]
        if flow and view is not None and view.flip:
            np.subtract(255, parts[0], out=parts[0])
        results['imgs'] = np.stack(parts, -1) if flow else parts[0]
        results['original_shape'] = readers[0].shape
        results['img_shape'] = shape
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


def _put(frame: np.ndarray, view: Any, out: np.ndarray) -> None:
    """Write what is seen of a frame; views without ``write`` return it."""
    if isinstance(view, View):
        view.write(frame, out)
    else:
        out[...] = frame if view is None else view(frame)
