"""Every set and layout gives the frames and the sound of its clips."""
import numpy as np
import pytest
import soundfile
import tiny_media
import tiny_sets
from mmaction.registry import DATASETS

RATE = tiny_media.RATE
SIZE = tiny_sets.HEIGHT


def frames_of(array):
    """(T, H, W) grey frames of a modality's (1, C, T, H, W) array."""
    assert array.shape[0] == 1 and array.dtype == np.uint8
    return array[0].mean(axis=0)


def numbers(array):
    """Which of the written pictures these are: their square walks right."""
    found = []
    for frame in frames_of(array):
        bright = np.flatnonzero(frame[20:28].mean(axis=0) > 210)
        # The crop is of the centre, two columns are a picture's step.
        found.append((bright.min() + (tiny_sets.WIDTH - SIZE) // 2) / 2)
    return found


def pipeline(sound):
    frames = [
        dict(type='ClipInit'),
        dict(type='SampleWindow', clip_len=4, frame_interval=2,
             test_mode=True),
        dict(type='CenterView', size=SIZE, short_side=SIZE),
        dict(type='ClipDecode'),
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    return [dict(type='MultiModalPipeline', aligned=True, pipelines=dict(
        video=frames, flow=frames,
        audio=[dict(type='LoadAudioClip', duration=1., window=sound)]))]


def epic_clips(root):
    tiny_sets.write_epic_clips(root, frames=24)
    return dict(type='EpicKitchensDataset', data_root=str(root),
                domains='D1', split='train')


def epic_frames(root):
    tiny_sets.write_epic_frames(root, frames=24)
    return dict(type='EpicKitchensDataset', data_root=str(root),
                domains='D1', split='train')


def hac(root, inside=False):
    tiny_sets.write_hac(root, domains=['animal'], frames=24, inside=inside)
    return dict(type='HACDataset', data_root=str(root), domains='animal',
                split='train')


def hac_inside(root):
    return hac(root, inside=True)


def manifest(root):
    """The media of another set; of the second clip a part."""
    tiny_sets.write_hac(root, domains=['animal'], frames=40)
    rows = []
    for number, part in enumerate((dict(start=0, stop=24 / 24),
                                   dict(start=8 / 24, stop=32 / 24))):
        stem = f'train_{number}'
        rows.append(dict(
            part, video=f'animal/videos/{stem}.mp4', label=number,
            flow_x=f'animal/flow/{stem}_flow_x.mp4',
            flow_y=f'animal/flow/{stem}_flow_y.mp4',
            audio=f'animal/audio/{stem}.wav', domain='animal', split='train'))
    tiny_sets.write_manifest(root / 'manifest.csv', rows)
    return dict(type='ManifestDataset', ann_file=str(root / 'manifest.csv'),
                domains='animal', split='train')


@pytest.mark.parametrize('write, shift, flow, sound, seconds', [
    # Frames 8 to 14 of 24 are the centre. Flow of EPIC-Kitchens has half
    # their rate.
    (epic_clips, 0, [4, 5, 6, 7], 'clip', (61 / 60, 85 / 60)),
    (epic_frames, 0, [4, 5, 6, 7], 'clip', (61 / 60, 85 / 60)),
    (hac, 0, [8, 10, 12, 14], 'frames', (8 / 24, 15 / 24)),
    (hac_inside, 0, [8, 10, 12, 14], 'frames', (8 / 24, 15 / 24)),
    # Video and sound from the ninth frame; flow files are the clip's own.
    (manifest, 8, [8, 10, 12, 14], 'frames', (16 / 24, 23 / 24)),
])
def test_frames_and_sound_of_one_moment(tmp_path, write, shift, flow, sound,
                                        seconds):
    config = write(tmp_path)
    dataset = DATASETS.build(dict(
        config, test_mode=True, pipeline=pipeline(sound)))
    record, data = dataset.get_data_info(1), dataset[1]
    assert len(dataset) == 2 and data['label'] == 1
    assert data['video'].shape == (1, 3, 4, SIZE, SIZE)
    assert data['flow'].shape == (1, 2, 4, SIZE, SIZE)
    assert numbers(data['video']) == [shift + n for n in (8, 10, 12, 14)]
    assert numbers(data['flow']) == flow
    assert not data['audio_empty']
    wave, _ = soundfile.read(record['sources']['audio']['filename'],
                             dtype='float32')
    # Time stamps of the annotations are rounded to 1/100 s.
    start = round(seconds[0], 2) if sound == 'clip' else seconds[0]
    first = round(RATE * start)
    count = round(RATE * (seconds[1] - seconds[0])) - RATE // 100
    assert np.array_equal(data['audio'][:count], wave[first:first + count])


def test_sound_follows_flow_where_there_is_no_video(tmp_path):
    dataset = DATASETS.build(dict(
        hac(tmp_path), modalities=['audio', 'flow'], test_mode=True,
        pipeline=pipeline('frames')))
    for path in tmp_path.glob('animal/videos/*'):
        path.unlink()
    record, data = dataset.get_data_info(0), dataset[0]
    assert 'video' not in data
    # Of the 23 frames of flow.
    assert numbers(data['flow']) == [8, 10, 12, 14]
    wave, _ = soundfile.read(record['sources']['audio']['filename'],
                             dtype='float32')
    first, last = round(RATE * 8 / 24), round(RATE * 15 / 24)
    assert np.array_equal(data['audio'][:last - first], wave[first:last])
