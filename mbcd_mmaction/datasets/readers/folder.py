"""Frames that lie as images in a folder."""
import io
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ..errors import MediaError
from .base import ClipReader
from .image import decode_image


class FrameFolderReader(ClipReader):
    """Frames extracted to numbered image files.

    Only the files of frames that are asked for are opened, and the first,
    for its size.

    Args:
        folder (str): The folder.
        template (str): Name of a file given its number, for example
            ``'frame_{:010d}.jpg'``.
        first (int): Number in the name of the clip's frame 0.
        total_frames (int): Frames of the clip.
        fps (float): Frames per second.

    Raises:
        ValueError: fps is not positive.
        MediaError: There are no frames, or the first is missing or broken.
    """

    def __init__(self, folder: str, template: str, first: int,
                 total_frames: int, fps: float) -> None:
        self.path = folder
        self._template = template
        self._first = first
        if total_frames < 1:
            raise MediaError(
                folder, 'expected at least one frame, its annotation gives '
                f'it {total_frames} from number {first} on')
        if not fps > 0:
            raise ValueError(f'fps: expected a positive number, got {fps}')
        self.num_frames = int(total_frames)
        self.fps = float(fps)
        self.times = np.arange(self.num_frames) / self.fps
        self.frames_decoded = 0
        self._kept = (0, self._bytes(0))
        try:
            with Image.open(io.BytesIO(self._kept[1])) as image:
                self.shape = image.size[::-1]
        except OSError as error:
            raise MediaError(self.name(0), 'it is no image') from error

    def name(self, index: int) -> str:
        """Path of the file of frame ``index``."""
        return os.path.join(self.path,
                            self._template.format(self._first + index))

    def _bytes(self, index: int) -> bytes:
        """The content of a file."""
        try:
            with open(self.name(index), 'rb') as file:
                data = file.read()
        except OSError as error:
            raise MediaError(self.name(index), error.strerror) from error
        if not data:
            raise MediaError(self.name(index), 'the file is empty (0 bytes)')
        return data

    def _frames(self, wanted: set[int],
                kind: str) -> Iterator[tuple[int, np.ndarray]]:
        for index in sorted(wanted):
            # The first was read for its size; it is not read twice.
            kept, data = self._kept
            if index != kept or not data:
                data = self._bytes(index)
            self._kept = (0, b'')
            self.frames_decoded += 1
            frame = decode_image(data, kind)
            if frame is None:
                raise MediaError(self.name(index),
                                 'the image is cut off or broken')
            yield index, frame
