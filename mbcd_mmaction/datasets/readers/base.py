"""What every reader of frames offers, whatever it reads them from."""
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..errors import MediaError

KINDS = ('rgb', 'grey')


class ClipReader:
    """The frames of one clip, numbered from 0.

    A subclass sets the attributes and implements ``_frames``.

    Attributes:
        path (str): The file or folder.
        num_frames (int): Number of frames.
        fps (float): Frames per second, 0 where it is unknown.
        times (np.ndarray): (num_frames,) float64, the seconds since the
            clip's start at which each frame is shown.
        shape (tuple[int, int]): (H, W) of the frames as they are shown.
        frames_decoded (int): Frames that came out of the decoder so far.
    """

    path: str
    num_frames: int
    fps: float
    times: np.ndarray
    shape: tuple[int, int]
    frames_decoded: int = 0

    def frames(self,
               frame_inds: Sequence[int],
               kind: str = 'rgb') -> Iterator[tuple[int, np.ndarray]]:
        """Decode frames one at a time, each distinct number once.

        Args:
            frame_inds (Sequence[int]): Frame numbers from 0, in any order,
                repeats allowed.
            kind (str): 'rgb' or 'grey'. Defaults to 'rgb'.

        Yields:
            tuple[int, np.ndarray]: A number and its frame, uint8 (H, W, 3)
            or, for 'grey', (H, W), in the order in which they are decoded.
            The array may be a view of the decoder's memory: copy what is
            to be kept.

        Raises:
            IndexError: A number outside [0, num_frames).
            ValueError: Unknown kind.
            MediaError: A frame cannot be decoded, or has another size.
        """
        if kind not in KINDS:
            raise ValueError(f'kind: expected one of {KINDS}, got {kind!r}')
        wanted = {int(index) for index in frame_inds}
        if not wanted:
            return
        if min(wanted) < 0 or max(wanted) >= self.num_frames:
            raise IndexError(
                f'{self.path}: expected frame numbers from 0 to '
                f'{self.num_frames - 1}, got {min(wanted)} to {max(wanted)}')
        for index, frame in self._frames(wanted, kind):
            if frame.shape[:2] != self.shape:
                raise MediaError(
                    self.path, f'frame {index} is {frame.shape[:2]}, those '
                    f'before it are {self.shape} (H, W)')
            yield index, frame

    def read(
        self,
        frame_inds: Sequence[int],
        kind: str = 'rgb',
        view: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> dict[int, np.ndarray]:
        """Decode frames and keep them.

        Args:
            frame_inds (Sequence[int]): See :meth:`frames`.
            kind (str): See :meth:`frames`.
            view (Callable, optional): Crops or resizes a frame. It is
                applied to each before the next is decoded, so that frames
                of full size do not pile up.

        Returns:
            dict[int, np.ndarray]: The frames by number, each in memory of
            its own. Raises as :meth:`frames` does.
        """
        found = {}
        for index, frame in self.frames(frame_inds, kind):
            if view is not None:
                frame = view(frame)
            # A part of a larger array would keep all of it alive.
            found[index] = frame if frame.base is None else frame.copy()
        return found

    def _frames(self, wanted: set[int],
                kind: str) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the wanted frames, checked to exist, each once."""
        raise NotImplementedError
