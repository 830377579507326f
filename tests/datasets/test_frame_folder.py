import cv2
import numpy as np
import pytest
from tiny_films import FILM

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import FrameFolderReader

TEMPLATE = 'frame_{:010d}.jpg'


def write(folder, frames, first=1, **kwargs):
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(frames, first):
        image = frame[..., ::-1] if frame.ndim == 3 else frame
        cv2.imwrite(str(folder / TEMPLATE.format(number)), image)


def reader(folder, first=1, total=8, fps=60.):
    return FrameFolderReader(str(folder), TEMPLATE, first, total, fps)


def test_numbers_times_and_colours(tmp_path):
    write(tmp_path, FILM[:20])
    found = reader(tmp_path, first=5, total=10)
    assert (found.num_frames, found.fps, found.shape) == (10, 60., (48, 64))
    np.testing.assert_allclose(found.times, np.arange(10) / 60)
    frames = found.read([9, 0, 9])
    assert set(frames) == {0, 9} and found.frames_decoded == 2
    for index, frame in frames.items():
        wanted = cv2.imread(str(tmp_path / TEMPLATE.format(5 + index)))
        np.testing.assert_array_equal(frame, wanted[..., ::-1])
        # Not the colours swapped: the picture that was written.
        away = np.abs(frame.astype(int) - FILM[4 + index]).mean()
        assert away < np.abs(wanted.astype(int) - FILM[4 + index]).mean() / 2


def test_grey_levels_come_back(tmp_path):
    greys = [np.full((16, 24), value, np.uint8) for value in range(256)]
    write(tmp_path, greys)
    frames = reader(tmp_path, total=256).read(range(256), 'grey')
    for value, frame in frames.items():
        assert frame.shape == (16, 24)
        assert np.abs(frame.astype(int) - value).max() <= 1
    assert (frames[128] == 128).all()


def test_views_and_numbers_out_of_range(tmp_path):
    write(tmp_path, FILM[:4])
    found = reader(tmp_path, total=4)
    small = found.read([3], view=lambda x: x[2:8, 3:5])[3]
    assert small.shape == (6, 2, 3) and small.base is None
    with pytest.raises(IndexError, match='from 0 to 3'):
        found.read([4])


@pytest.mark.parametrize('total', [0, -3])
def test_no_frames(tmp_path, total):
    write(tmp_path, FILM[:4])
    with pytest.raises(MediaError, match=f'gives it {total} from number 1'):
        reader(tmp_path, total=total)


def test_no_rate(tmp_path):
    write(tmp_path, FILM[:4])
    with pytest.raises(ValueError, match='fps: expected a positive'):
        reader(tmp_path, fps=0)


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b'')


def cut(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def scribble(path):
    path.write_text('no picture at all')


@pytest.mark.parametrize('how, text', [
    (remove, 'No such file'), (empty, r'0 bytes'),
    (cut, 'cut off or broken'), (scribble, 'cut off or broken')])
def test_a_missing_or_broken_image_is_named(tmp_path, how, text):
    write(tmp_path, FILM[:8])
    path = tmp_path / TEMPLATE.format(4)
    how(path)
    found = reader(tmp_path)
    found.read([0, 1, 2])
    with pytest.raises(MediaError, match=text) as caught:
        found.read([0, 3])
    assert caught.value.path == str(path)
    if how is not cut:  # a cut jpg still has its size at the front
        how(tmp_path / TEMPLATE.format(1))
        with pytest.raises(MediaError) as caught:
            reader(tmp_path)
        assert caught.value.path == str(tmp_path / TEMPLATE.format(1))


def test_images_of_another_size(tmp_path):
    write(tmp_path, [*FILM[:2], FILM[2][:20]])
    with pytest.raises(MediaError, match=r'frame 2 is \(20, 64\)'):
        reader(tmp_path, total=3).read([0, 1, 2])


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(MediaError, match='No such file'):
        reader(tmp_path / 'none')
