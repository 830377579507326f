import weakref
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import tiny_media
from mmaction.registry import TRANSFORMS
from tiny_films import FILM, in_sequence

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.transforms import ClipDecode, ClipInit

GREYS = [np.full((32, 64), value, np.uint8) for value in range(256)]
RNG = np.random.default_rng(0)


@dataclass
class Crop:
    """Stands for the views of the pipelines: crop, resize, mirror."""
    box: tuple
    size: tuple
    flip: bool = False

    def __call__(self, frame):
        top, left, bottom, right = self.box
        frame = cv2.resize(frame[top:bottom, left:right], self.size[::-1])
        return frame[:, ::-1] if self.flip else frame


def video_record(path, **kwargs):
    return dict(filename=str(path), modality='RGB', start_index=0, **kwargs)


def flow_record(x, y, **kwargs):
    return dict(filename=(str(x), str(y)), modality='Flow', start_index=0,
                **kwargs)


def decode(record, indices, **kwargs):
    results = ClipInit()(record)
    return ClipDecode()(dict(results, frame_inds=np.array(indices), **kwargs))


def write_folder(folder, frames, first=7, suffix='jpg'):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        image = frame[..., ::-1] if frame.ndim == 3 else frame
        assert cv2.imwrite(str(folder / f'frame_{number:010d}.{suffix}'),
                           image)
    return dict(template='frame_{:010d}.' + suffix, first=first,
                total_frames=len(frames), fps=60.)


def write_pair(folder, x, y, kind='files'):
    """Two grey videos or folders without loss, and their record."""
    if kind == 'folders':
        write_folder(folder / 'u', x, suffix='png')
        fields = write_folder(folder / 'v', y[:len(x)], suffix='png')
        return flow_record(folder / 'u', folder / 'v', **fields)
    for name, frames in (('u', x), ('v', y)):
        tiny_media.write_video(folder / f'{name}.mkv', frames, 'ffv1', 'gray')
    return flow_record(folder / 'u.mkv', folder / 'v.mkv')


def write_rgb(folder, frames, kind='files'):
    if kind == 'folders':
        fields = write_folder(folder / 'rgb', frames, suffix='png')
        return video_record(folder / 'rgb', **fields)
    tiny_media.write_video(folder / 'a.mkv', frames, 'ffv1', 'bgr0')
    return video_record(folder / 'a.mkv')


KINDS = pytest.mark.parametrize('kind', ['files', 'folders'])


@KINDS
def test_colours(tmp_path, kind):
    results = ClipInit()(write_rgb(tmp_path, FILM[:12], kind))
    assert results['total_frames'] == 12
    assert results['avg_fps'] == dict(files=30, folders=60)[kind]
    np.testing.assert_allclose(results['frame_times'],
                               np.arange(12) / results['avg_fps'], atol=.001)
    assert results['img_shape'] == (48, 64)
    assert results['start_index'] == 0
    results['frame_inds'] = np.array([11, 0, 4, 0])
    results = ClipDecode()(results)
    assert 'clip_readers' not in results
    assert results['img_shape'] == results['original_shape'] == (48, 64)
    np.testing.assert_array_equal(results['imgs'],
                                  [FILM[n] for n in (11, 0, 4, 0)])


@KINDS
def test_pairs_stay_pairs_and_the_shorter_counts(tmp_path, kind):
    x = [RNG.integers(0, 256, (32, 64), dtype=np.uint8) for _ in range(12)]
    y = [RNG.integers(0, 256, (32, 64), dtype=np.uint8) for _ in range(10)]
    if kind == 'folders':
        x = x[:10]
    results = ClipInit()(write_pair(tmp_path, x, y, kind))
    assert results['total_frames'] == len(results['frame_times']) == 10
    results['frame_inds'] = np.array([9, 0, 4])
    results = ClipDecode()(results)
    assert [img.shape for img in results['imgs']] == [(32, 64, 2)] * 3
    for img, index in zip(results['imgs'], (9, 0, 4), strict=True):
        np.testing.assert_array_equal(img, np.stack([x[index], y[index]], 2))


@KINDS
@pytest.mark.parametrize('flip', [False, True])
def test_a_view_of_each_frame(tmp_path, kind, flip):
    view = Crop((3, 5, 30, 40), (21, 23), flip)
    record = write_rgb(tmp_path / 'rgb', FILM[:6], kind)
    results = decode(record, [5, 1, 5], view=view)
    assert results['original_shape'] == (48, 64)
    assert results['img_shape'] == (21, 23)
    for img, index in zip(results['imgs'], (5, 1, 5), strict=True):
        np.testing.assert_array_equal(img, view(FILM[index]))
    x, y = GREYS[100:104], [RNG.integers(0, 256, (32, 64), dtype=np.uint8)
                            for _ in range(4)]
    results = decode(write_pair(tmp_path, x, y, kind), [2, 3], view=view)
    for img, index in zip(results['imgs'], (2, 3), strict=True):
        wanted = view(x[index])
        np.testing.assert_array_equal(img[..., 0],
                                      255 - wanted if flip else wanted)
        np.testing.assert_array_equal(img[..., 1], view(y[index]))


@pytest.mark.parametrize('flow', [False, True])
@pytest.mark.parametrize('view', [None, Crop((0, 0, 32, 40), (8, 9))])
def test_a_frame_drawn_twice_is_two_arrays(tmp_path, flow, view):
    record = (write_pair(tmp_path, GREYS[:3], GREYS[3:6])
              if flow else write_rgb(tmp_path, FILM[:3]))
    results = decode(record, [2, 0, 2, 2], view=view)
    places = {img.ctypes.data for img in results['imgs']}
    assert len(places) == 4
    results['imgs'][0][:] = 0
    assert results['imgs'][2].any()
    # One block: what stacks the frames copies them once at most.
    assert len({id(img.base) for img in results['imgs']}) == 1


@pytest.mark.parametrize('frames', [1, 3, 15, 16, 40])
@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('less', [0, 1])
def test_windows_longer_than_the_clip_wrap_round(tmp_path, frames, test_mode,
                                                 less):
    """One of the pair may have a frame less."""
    x, y = GREYS[50:50 + frames + less], GREYS[90:90 + frames]
    record = write_pair(tmp_path, x, y)
    sample = TRANSFORMS.build(
        dict(type='SampleFrames', clip_len=8, frame_interval=2, num_clips=1,
             test_mode=test_mode))
    results = ClipDecode()(sample(ClipInit()(record)))
    indices = results['frame_inds']
    assert len(results['imgs']) == 8
    assert indices.min() >= 0 and indices.max() < frames
    for img, index in zip(results['imgs'], indices, strict=True):
        assert (img[..., 0] == 50 + index).all()
        assert (img[..., 1] == 90 + index).all()


def test_segments_and_decoders(tmp_path):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM)
    _, wanted = in_sequence(path)
    for decoder in ('pyav', 'decord'):
        results = ClipInit(decoder)(video_record(path, segment=(.5, 1.)))
        assert results['total_frames'] == 15
        results = ClipDecode()(dict(results, frame_inds=np.array([0, 14])))
        np.testing.assert_array_equal(results['imgs'], wanted[15:30:14])
    with pytest.raises(ValueError, match='gives RGB only'):
        ClipInit('decord')(flow_record(path, path))
    with pytest.raises(ValueError, match="'decord', 'pyav'"):
        ClipInit('opencv')(video_record(path))


def test_the_transforms_of_the_host_follow(tmp_path):
    steps = [
        dict(type='ClipInit'),
        dict(type='SampleFrames', clip_len=4, frame_interval=2, num_clips=3),
        dict(type='ClipDecode'),
        dict(type='Resize', scale=(-1, 30)),
        dict(type='RandomResizedCrop'),
        dict(type='Resize', scale=(24, 24), keep_ratio=False),
        dict(type='FlowFlip', flip_ratio=1.),
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    for record, channels in ((write_rgb(tmp_path, FILM[:9]), 3),
                             (write_pair(tmp_path, GREYS[:9], GREYS[:9]), 2)):
        for step in steps:
            record = TRANSFORMS.build(step)(record)
        assert record['imgs'].shape == (3, channels, 4, 24, 24)
        assert record['imgs'].dtype == np.uint8


class Watch(Crop):
    """A view that counts how many full frames are alive."""

    def __call__(self, frame):
        self.alive = [*getattr(self, 'alive', []), weakref.ref(frame)]
        self.most = max(getattr(self, 'most', 0),
                        sum(ref() is not None for ref in self.alive))
        return frame[:self.size[0], :self.size[1]]  # not even resized


def test_full_frames_do_not_pile_up(tmp_path):
    path = tmp_path / 'a.mp4'
    frame = np.zeros((2160, 3840, 3), np.uint8)
    tiny_media.write_video(path, [frame] * 12, preset='ultrafast')
    view = Watch((), (224, 224))
    results = decode(video_record(path), range(12), view=view)
    assert len(results['imgs']) == len(view.alive) == 12
    assert view.most <= 2


def test_each_image_is_read_once(tmp_path, monkeypatch):
    opened = []
    folder = write_folder(tmp_path / 'rgb', FILM[:6])
    open_ = open

    def counted(path, *args, **kwargs):
        opened.append(str(path)[-6:])
        return open_(path, *args, **kwargs)

    monkeypatch.setattr('builtins.open', counted)
    decode(video_record(tmp_path / 'rgb', **folder), [4, 0, 4, 2, 0])
    assert sorted(opened) == ['07.jpg', '09.jpg', '11.jpg']


def test_bad_pairs(tmp_path):
    small, large = tmp_path / 'u.mp4', tmp_path / 'v.mp4'
    tiny_media.write_video(small, GREYS[:4])
    tiny_media.write_video(large, [np.zeros((48, 64), np.uint8)] * 4)
    with pytest.raises(ValueError, match='pair of paths'):
        ClipInit()(dict(filename=str(small), modality='Flow'))
    with pytest.raises(ValueError, match='pair of paths'):
        ClipInit()(dict(filename=(str(small), ) * 3, modality='Flow'))
    with pytest.raises(ValueError, match='one path'):
        ClipInit()(dict(filename=(str(small), ) * 2, modality='RGB'))
    with pytest.raises(MediaError, match=r'\(48, 64\).*\(32, 64\)') as caught:
        ClipInit()(flow_record(small, large))
    assert caught.value.path == str(large)
    with pytest.raises(FileNotFoundError):
        ClipInit()(flow_record(small, tmp_path / 'none.mp4'))
