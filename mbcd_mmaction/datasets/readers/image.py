"""Decoding of one image file, by the fastest library that is exact."""
import functools
from types import ModuleType

import cv2
import numpy as np

_JPG = b'\xff\xd8'


def decode_image(data: bytes, kind: str) -> np.ndarray | None:
    """Pixels of an image as they are stored, whatever way up it is shown.

    Args:
        data (bytes): Content of the file.
        kind (str): 'rgb' or 'grey'.

    Returns:
        np.ndarray | None: (H, W, 3) or (H, W) uint8, what OpenCV gives; None
        where it is no image, or a jpg without its end.
    """
    if not _is_whole(data):
        return None
    turbo = _simplejpeg() if data[:2] == _JPG else None
    if turbo is not None:
        try:
            return _by_turbo(turbo, data, kind)
        except ValueError:
            pass  # a kind of jpg that it does not know: OpenCV may
    return _by_opencv(data, kind)


def _by_opencv(data: bytes, kind: str) -> np.ndarray | None:
    flags = cv2.IMREAD_IGNORE_ORIENTATION | (
        cv2.IMREAD_COLOR if kind == 'rgb' else cv2.IMREAD_GRAYSCALE)
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if kind == 'rgb' and frame is not None:
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
    return frame


def _by_turbo(module: ModuleType, data: bytes, kind: str) -> np.ndarray:
    if kind == 'rgb':
        return module.decode_jpeg(data, 'RGB')
    return module.decode_jpeg(data, 'GRAY')[..., 0]


@functools.cache
def _simplejpeg() -> ModuleType | None:
    """simplejpeg, where it is installed and gives OpenCV's very values.

    Both stand on libjpeg-turbo, but perhaps on builds of it that round
    otherwise, so one picture is compared for each kind, once in a process.
    """
    try:
        import simplejpeg
    except ImportError:
        return None
    row = np.arange(71, dtype=np.uint8)
    picture = np.stack([row * n ^ row[:45, None] for n in (3, 5, 7)], -1)
    for quality in (75, 95):
        data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY,
                                              quality])[1].tobytes()
        for kind in ('rgb', 'grey'):
            if not np.array_equal(_by_turbo(simplejpeg, data, kind),
                                  _by_opencv(data, kind)):
                return None
    return simplejpeg


def _is_whole(data: bytes) -> bool:
    """Whether a jpg has its end; decoders fill what is missing with grey."""
    return data[:2] != _JPG or b'\xff\xd9' in data[-4096:]
