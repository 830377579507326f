"""Arrays of decoded frames: colours, grey levels, and which way is up."""
import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

_EXPANDED = np.clip(
    np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_PLANAR = frozenset([
    'gray', 'nv12', 'nv21', 'yuv420p', 'yuv422p', 'yuv440p', 'yuv444p',
    'yuvj420p', 'yuvj422p', 'yuvj440p', 'yuvj444p'
])


def luma(frame: av.VideoFrame) -> np.ndarray:
    """Grey levels of a decoded frame.

    The usual encoders squeeze grey levels 0-255 into luma 16-235 and mark
    nothing; only a stream marked as full range, or one of grey frames, holds
    the levels as they are. Reading the luma plane rounds once, where a
    conversion to RGB and back rounds twice and shifts the mean.

    Args:
        frame (av.VideoFrame): A frame of any pixel format.

    Returns:
        np.ndarray: (H, W) uint8; 128 was 128 when it was written.
    """
    name = frame.format.name
    if name not in _PLANAR:
        red, green, blue = np.moveaxis(
            frame.to_ndarray(format='rgb24').astype(np.float32), -1, 0)
        grey = .299 * red + .587 * green + .114 * blue
        return np.rint(grey).astype(np.uint8)
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    grey = rows[:frame.height, :frame.width]
    marked_full = name.startswith('yuvj') or frame.color_range == _FULL_RANGE
    marked_limited = frame.color_range == 1
    if marked_full or (name == 'gray' and not marked_limited):
        return grey.copy()
    return cv2.LUT(grey, _EXPANDED)


class Converter:
    """Makes upright arrays of the frames of one stream.

    Args:
        kind (str): 'rgb' or 'grey'.
        matrix (np.ndarray, optional): See :func:`display_matrix`. Defaults
            to None: frames are upright.
    """

    def __init__(self, kind: str, matrix: np.ndarray | None = None) -> None:
        self._matrix = matrix
        self._convert = luma if kind == 'grey' else self._rgb
        # One for all frames: what FFmpeg prepares for a pair of formats is
        # kept with it.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) or (H, W) uint8; RGB may lie in the decoder's memory."""
        return upright(self._convert(frame), self._matrix)

    def _rgb(self, frame: av.VideoFrame) -> np.ndarray:
        # Without a number of threads FFmpeg starts one for every core.
        return self._reformatter.reformat(
            frame, format='rgb24', threads=1).to_ndarray()


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """How a frame is to be turned or mirrored before it is shown.

    Args:
        frame (av.VideoFrame): A decoded frame.

    Returns:
        np.ndarray | None: a, b, c, d (int64), with x' = a x + c y and
        y' = b x + d y; None where nothing is to be done.
    """
    try:
        data = frame.side_data['DISPLAYMATRIX']
    except KeyError:
        return None
    matrix = np.frombuffer(data, np.int32)[[0, 1, 3, 4]].astype(np.int64)
    a, b, c, d = matrix
    turned = abs(b) > abs(a)
    return matrix if turned or a < 0 or d < 0 else None


def upright(array: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn an array by a display matrix, to a multiple of 90 degrees.

    Args:
        array (np.ndarray): (H, W[, C]).
        matrix (np.ndarray, optional): See :func:`display_matrix`.

    Returns:
        np.ndarray: A view of it, (H, W[, C]) or (W, H[, C]).
    """
    if matrix is None:
        return array
    across, down = matrix[0], matrix[3]
    if abs(matrix[1]) > abs(matrix[0]):
        array = array.swapaxes(0, 1)
        across, down = matrix[2], matrix[1]
    return array[::-1 if down < 0 else 1, ::-1 if across < 0 else 1]
