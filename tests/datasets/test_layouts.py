"""Every layout through the shipped pipelines; alignment seen in the pixels."""
import copy
from pathlib import Path

import numpy as np
import pytest
import tiny_media
import tiny_sets
from mmengine.config import Config

from mbcd_mmaction.datasets import (
    EpicKitchensDataset,
    HACDataset,
    ManifestDataset,
)
from mbcd_mmaction.datasets.transforms import MultiModalPipeline

ROOT = Path(__file__).resolve().parents[2]
FULL = dict(video=(1, 3, 32, 224, 224), flow=(1, 2, 8, 224, 224),
            audio=(1, 1, 257, 1004))
SETS = {
    'epic clips': ('epic', tiny_media.write_set, EpicKitchensDataset,
                   dict(domains='D1')),
    'epic frames': ('epic', tiny_sets.write_epic_frames, EpicKitchensDataset,
                    dict(domains='D1')),
    'hac': ('hac', tiny_sets.write_hac, HACDataset, dict(domains='human')),
    'hac inside': ('hac', lambda root: tiny_sets.write_hac(root, inside=True),
                   HACDataset, dict(domains='human')),
}


def shipped(name, train):
    config = Config.fromfile(
        ROOT / f'configs/_base_/datasets/{name}_video-flow-audio.py')
    return config.train_pipeline if train else config.test_pipeline


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('name', SETS)
def test_shipped_pipelines_read_every_layout(tmp_path, name, train):
    config, write, kind, kwargs = SETS[name]
    write(tmp_path)
    pipeline = shipped(config, train)
    dataset = kind(str(tmp_path), split='train', pipeline=pipeline,
                   test_mode=not train, **kwargs)
    assert len(dataset) >= 2
    for sample in dataset:
        shapes = {m: tuple(x.shape) for m, x in sample['inputs'].items()}
        assert shapes == FULL
        assert not sample['data_samples'].metainfo['audio_empty']
        assert not sample['data_samples'].metainfo['read_errors']


@pytest.mark.parametrize('name', SETS)
@pytest.mark.parametrize('modalities', [['video', 'audio'],
                                        ['flow', 'audio'],
                                        ['video', 'flow']])
def test_what_is_not_asked_for_is_not_read(tmp_path, name, modalities):
    """The other modality's files are made unreadable."""
    config, write, kind, kwargs = SETS[name]
    write(tmp_path)
    whole = kind(str(tmp_path), split='train', **kwargs)
    absent, = {'video', 'flow', 'audio'} - set(modalities)
    for index in range(len(whole)):
        names = whole.get_data_info(index)['sources'][absent]['filename']
        for file in [names] if isinstance(names, str) else names:
            if Path(file).is_file():
                Path(file).write_bytes(b'')
            elif Path(file).is_dir():
                for jpg in Path(file).iterdir():
                    jpg.unlink()
    dataset = kind(str(tmp_path), split='train', modalities=modalities,
                   pipeline=shipped(config, True), on_error='raise',
                   **kwargs)
    assert list(dataset[0]['inputs']) == modalities


SIZE = (48, 96)
RAMP = np.tile(np.linspace(60, 180, SIZE[1]), (SIZE[0], 1))


def clock_frames(rate, count, channels):
    """Frames that show where they are and when: a ramp to the right in the
    upper half, the time as a grey level in the lower one."""
    for number in range(count):
        frame = RAMP.copy()
        frame[SIZE[0] // 2:] = 20 + 40 * number / rate
        frame = np.rint(frame).astype(np.uint8)
        yield np.stack([frame] * 3, -1) if channels == 3 else frame


@pytest.fixture(scope='module')
def clock_set(tmp_path_factory):
    """A video, flow at half and at full rate, sound whose level is time."""
    root = tmp_path_factory.mktemp('clock')
    quality = dict(crf='8')
    tiny_media.write_video(root / 'v.mp4', list(clock_frames(60, 240, 3)),
                           rate=60, **quality)
    for rate, count in ((30, 119), (60, 239)):
        for axis in 'xy':
            tiny_media.write_video(
                root / f'{rate}_{axis}.mp4',
                list(clock_frames(rate, count, 1)), rate=rate, **quality)
    time = np.arange(4 * tiny_media.RATE) / tiny_media.RATE
    tiny_media.write_wav(root / 'a.wav', time / 8)
    return root


def read_clock(root, rate, aligned, seed, window='frames'):
    """One sample of the clock set, its spectrogram left out."""
    def frames(clip_len, interval):
        return [dict(type='ClipInit'),
                dict(type='SampleWindow', clip_len=clip_len,
                     frame_interval=interval, num_clips=1),
                dict(type='RandomView', size=32, area_range=(.5, 1.)),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')]

    step = MultiModalPipeline(
        dict(video=frames(32, 2), flow=frames(8, 4), audio=[
            dict(type='LoadAudioClip', duration=4.0, window=window)]),
        aligned=aligned)
    record = dict(sources=dict(
        video=dict(filename=str(root / 'v.mp4'), modality='RGB'),
        flow=dict(filename=tuple(str(root / f'{rate}_{axis}.mp4')
                                 for axis in 'xy'), modality='Flow'),
        audio=dict(filename=str(root / 'a.wav'), modality='Audio',
                   segment=None)))
    np.random.seed(seed)
    return step(copy.deepcopy(record))


def where_and_when(clip):
    """(first column, last column, times) of (T, H, W) frames."""
    place = np.interp(clip[0, 2, [1, -2]], RAMP[0], np.arange(SIZE[1]))
    return place, (clip[:, -3, 16].astype(float) - 20) / 40


@pytest.mark.parametrize('rate', [30, 60])
def test_aligned_modalities_show_the_same(clock_set, rate):
    flips = set()
    for seed in range(6):
        results = read_clock(clock_set, rate, True, seed)
        video = results['video'][0, 0]
        flow = results['flow'][0]
        place, times = where_and_when(video)
        flip = place[0] > place[1]
        flips.add(flip)
        # x is inverted where mirrored, y is not: look at y.
        other, flow_times = where_and_when(flow[1])
        np.testing.assert_allclose(other, place, atol=3)
        np.testing.assert_allclose(flow_times, times[::4], atol=.06)
        if flip:
            np.testing.assert_allclose(
                flow[0].astype(int), 255 - flow[1].astype(int), atol=3)
        else:
            np.testing.assert_array_equal(flow[0], flow[1])
        # The sound begins with the first frame and lasts as the frames do.
        wave = results['audio']
        start = results['audio'][0] * 8
        assert start == pytest.approx(times[0], abs=.06)
        length = np.argmax(np.diff(wave) < -.01) + 1  # it then repeats
        assert length == round(63 / 60 * tiny_media.RATE)
    assert flips == {True, False}


def test_independent_modalities_do_not(clock_set):
    apart = []
    for seed in range(6):
        results = read_clock(clock_set, 30, False, seed)
        place, times = where_and_when(results['video'][0, 0])
        other, flow_times = where_and_when(results['flow'][0, 1])
        apart.append(abs(times[0] - flow_times[0]) > .1
                     or np.abs(place - other).max() > 6)
        # Sound follows the video all the same.
        assert results['audio'][0] * 8 == pytest.approx(times[0], abs=.06)
    assert sum(apart) >= 5


def test_sound_of_the_whole_clip(clock_set):
    results = read_clock(clock_set, 30, True, 0, window='clip')
    np.testing.assert_allclose(results['audio'],
                               np.arange(64000) / tiny_media.RATE / 8,
                               atol=1e-4)


def test_a_short_clip_wraps_without_silent_sound(tmp_path):
    """Shorter than the window: frames and sound begin anew."""
    tiny_sets.write_hac(tmp_path, ('human', ), clips=1, frames=20)
    dataset = HACDataset(str(tmp_path), 'human', 'train',
                         pipeline=shipped('hac', True), on_error='raise')
    for _ in range(4):
        sample = dataset[0]
        assert not sample['data_samples'].metainfo['audio_empty']
        assert sample['inputs']['video'].shape == FULL['video']


def test_a_manifest_with_parts_of_a_video(clock_set, tmp_path):
    """A row's times hold for video and sound; its flow is its own."""
    tiny_sets.write_manifest(tmp_path / 'm.csv', [dict(
        video=str(clock_set / 'v.mp4'), audio=str(clock_set / 'a.wav'),
        flow_x=str(clock_set / '30_x.mp4'),
        flow_y=str(clock_set / '30_y.mp4'), start=1.0, stop='00:00:02.5',
        label=0, domain='d')])
    steps = [dict(type='ClipInit'),
             dict(type='SampleWindow', clip_len=90, frame_interval=1,
                  test_mode=True),
             dict(type='CenterView', size=48, short_side=48),
             dict(type='ClipDecode'),
             dict(type='FormatShape', input_format='NCTHW')]
    dataset = ManifestDataset(
        str(tmp_path / 'm.csv'), 'd', modalities=['video', 'audio'],
        pipeline=[dict(type='MultiModalPipeline', pipelines=dict(
            video=steps,
            audio=[dict(type='LoadAudioClip', duration=1.5)]))])
    results = dataset[0]
    _, times = where_and_when(results['video'][0, 0])
    np.testing.assert_allclose(times, 1 + np.arange(90) / 60, atol=.06)
    np.testing.assert_allclose(
        results['audio'], (1 + np.arange(24000) / tiny_media.RATE) / 8,
        atol=1e-4)
