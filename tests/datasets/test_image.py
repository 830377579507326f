"""Images come out the same by whichever library decodes them."""
import sys
import types

import cv2
import numpy as np
import pytest

from mbcd_mmaction.datasets.readers import image

SMOOTH = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8), (71, 47),
    interpolation=cv2.INTER_CUBIC)


@pytest.fixture(autouse=True)
def forget():
    """The choice of library is kept for a process."""
    image._simplejpeg.cache_clear()
    yield
    image._simplejpeg.cache_clear()


def encoded(picture=SMOOTH, suffix='.jpg', *options):
    return cv2.imencode(suffix, picture, options)[1].tobytes()


def stand_in(monkeypatch, change=0, error=None):
    """A simplejpeg that decodes by OpenCV; returns its list of calls."""
    calls = []

    def decode_jpeg(data, colorspace):
        calls.append(colorspace)
        if error and len(calls) > 4:  # the comparison makes four
            raise error
        kind = 'rgb' if colorspace == 'RGB' else 'grey'
        pixels = image._by_opencv(data, kind)
        pixels[0, 0] += change
        return pixels if kind == 'rgb' else pixels[..., None]

    monkeypatch.setitem(sys.modules, 'simplejpeg',
                        types.SimpleNamespace(decode_jpeg=decode_jpeg))
    return calls


def test_simplejpeg_is_used_where_it_is_equal(monkeypatch):
    calls = stand_in(monkeypatch)
    data = encoded()
    rgb = image.decode_image(data, 'rgb')
    np.testing.assert_array_equal(
        rgb, cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1])
    assert image.decode_image(data, 'grey').shape == (47, 71)
    assert calls == 2 * ['RGB', 'GRAY'] + ['RGB', 'GRAY']
    png = encoded(suffix='.png')
    np.testing.assert_array_equal(image.decode_image(png, 'rgb'),
                                  SMOOTH[..., ::-1])
    assert len(calls) == 6  # it knows jpg alone


@pytest.mark.parametrize('case', ['unequal', 'missing', 'refuses'])
def test_opencv_decodes_where_simplejpeg_is_no_use(monkeypatch, case):
    calls = []
    if case == 'missing':
        monkeypatch.setitem(sys.modules, 'simplejpeg', None)
    else:
        calls = stand_in(
            monkeypatch, change=case == 'unequal',
            error=ValueError('colours') if case == 'refuses' else None)
    data = encoded()
    np.testing.assert_array_equal(image.decode_image(data, 'rgb'),
                                  image._by_opencv(data, 'rgb'))
    assert len(calls) == dict(unequal=1, missing=0, refuses=5)[case]


@pytest.mark.parametrize('kind', ['rgb', 'grey'])
def test_the_installed_libraries_agree(kind):
    for picture in (SMOOTH, SMOOTH[..., 0]):
        for quality in (30, 95):
            for progressive in (0, 1):
                data = encoded(picture, '.jpg', cv2.IMWRITE_JPEG_QUALITY,
                               quality, cv2.IMWRITE_JPEG_PROGRESSIVE,
                               progressive)
                np.testing.assert_array_equal(
                    image.decode_image(data, kind),
                    image._by_opencv(data, kind))


def test_what_is_no_whole_image_is_none():
    for data in (encoded()[:-9], encoded()[:40], b'\xff\xd8\xff\xd9', b'no'):
        assert image.decode_image(data, 'rgb') is None
