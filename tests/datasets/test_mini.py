import csv
import hashlib
import json
import math
import shutil
import wave

import av
import cv2
import numpy as np
import pytest

from mbcd_mmaction.datasets.mini import make_mini
from mbcd_mmaction.datasets.mini.motion import object_poses, optical_flow
from mbcd_mmaction.datasets.mini.plan import plan_split
from mbcd_mmaction.datasets.mini.recipe import (
    CLASSES,
    DOMAINS,
    FLOW_BOUND,
    SPLITS,
    UNKNOWN,
)
from mbcd_mmaction.datasets.mini.render import recording_ground, render_clip
from mbcd_mmaction.datasets.mini.sound import render_recording
from mbcd_mmaction.datasets.mini.write import (
    COLUMNS,
    SPLITS_DIR,
    STAMP_NAME,
    _write_annotations,
)

NUM_CLIPS = dict(train=16, test=8)
GROUPS = [(domain, split) for domain in DOMAINS for split in SPLITS]


def read_rows(root, domain, split):
    path = root / SPLITS_DIR / f'{domain}_{split}.csv'
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def seconds(timestamp):
    hours, minutes, rest = timestamp.split(':')
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def clip_files(root, domain, split, row):
    """Paths of a clip from its row, by the rules of the layout."""
    splits = root / SPLITS_DIR
    start, stop = int(row['start_frame']), int(row['stop_frame'])
    first = math.ceil(start / 2)
    last = first + int((stop - start) / 2)
    stem, label = f'{domain}_{row["video_id"]}', row['verb_class']
    flow = splits / 'flow' / split / domain
    return (splits / 'video' / split / domain /
            f'{stem}_{start}_{stop}_{label}.mp4',
            flow / f'{stem}_{first}_{last}_{label}_u.mp4',
            flow / f'{stem}_{first}_{last}_{label}_v.mp4',
            splits / 'audio' / split / domain / f'{row["video_id"]}.wav')


def decode(path):
    with av.open(str(path)) as file:
        rate = file.streams.video[0].average_rate
        return [x.to_ndarray(format='rgb24') for x in file.decode(video=0)
                ], float(rate)


def digests(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(
            path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*')) if path.is_file()
    }


def make_tiny(root, **kwargs):
    kwargs = dict(dict(train_clips=8, test_clips=8, workers=1), **kwargs)
    return make_mini(root, progress=False, **kwargs)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp('tiny') / 'mini')


@pytest.mark.parametrize('domain,split', GROUPS)
def test_annotations(mini_root, domain, split):
    rows = read_rows(mini_root, domain, split)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == NUM_CLIPS[split]
    labels = [int(row['verb_class']) for row in rows]
    assert np.bincount(labels).tolist() == [NUM_CLIPS[split] // 8] * 8
    rate = DOMAINS[domain].camera.frame_rate
    stop_before = dict()
    for row in rows:
        assert row['verb'] == CLASSES[int(row['verb_class'])].verb
        assert row['narration'].split()[0] == row['verb']
        assert row['video_id'].startswith(row['participant_id'] + '_')
        for end in ('start', 'stop'):
            stamp = row[f'{end}_timestamp']
            assert seconds(stamp) == pytest.approx(
                int(row[f'{end}_frame']) / rate, abs=.0051)
            assert len(stamp) == len('00:00:00.00')
        before = stop_before.get(row['video_id'], 0)
        assert before < int(row['start_frame']) < int(row['stop_frame'])
        stop_before[row['video_id']] = int(row['stop_frame'])


def test_uids_are_unique_and_recordings_disjoint(mini_root):
    uids, recordings = [], dict()
    for domain, split in GROUPS:
        rows = read_rows(mini_root, domain, split)
        uids += [row['uid'] for row in rows]
        recordings[domain, split] = {row['video_id'] for row in rows}
    assert len(set(uids)) == len(uids) == 72
    assert sum(map(len, recordings.values())) == len(
        set.union(*recordings.values()))
    people = {domain: {x[:3] for x in recordings[domain, 'train']}
              for domain in DOMAINS}
    assert people == dict(D1={'P08'}, D2={'P01'}, D3={'P22'})


def test_files_agree_with_annotations(mini_root):
    expected = {mini_root / STAMP_NAME}
    for domain, split in GROUPS:
        expected.add(mini_root / SPLITS_DIR / f'{domain}_{split}.csv')
        for row in read_rows(mini_root, domain, split):
            expected.update(clip_files(mini_root, domain, split, row))
    assert {x for x in mini_root.rglob('*') if x.is_file()} == expected


@pytest.mark.parametrize('domain', DOMAINS)
def test_decoded_lengths_and_rates(mini_root, domain):
    rate = DOMAINS[domain].camera.frame_rate
    for row in read_rows(mini_root, domain, 'test'):
        video, *flows, audio = clip_files(mini_root, domain, 'test', row)
        length = int(row['stop_frame']) - int(row['start_frame'])
        frames, frame_rate = decode(video)
        assert len(frames) == length
        assert frames[0].shape == (64, 64, 3)
        assert frame_rate == rate
        for flow in flows:
            fields, flow_rate = decode(flow)
            assert len(fields) == int(length / 2)
            assert flow_rate == rate / 2
        with wave.open(str(audio), 'rb') as file:
            assert file.getframerate() == 16000
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            assert file.getnframes() >= seconds(row['stop_timestamp']) * 16000


def test_frame_rates_differ():
    assert len({x.camera.frame_rate for x in DOMAINS.values()}) == 3


def test_flow_files_are_grey_around_128(tiny):
    for domain in DOMAINS:
        for row in read_rows(tiny, domain, 'train'):
            for path in clip_files(tiny, domain, 'train', row)[1:3]:
                fields = np.stack(decode(path)[0]).astype(int)
                assert 100 < np.median(fields) < 156
                assert fields.max() > 130 or fields.min() < 126
                assert np.ptp(fields, -1).max() == 0


@pytest.mark.parametrize('shift', [(2, 0), (0, -3)])
def test_flow_measures_a_known_shift(shift):
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.uniform(0, 255, (96, 96, 3)), (0, 0), 2)
    big = (255 * (big - big.min()) / np.ptp(big)).astype(np.uint8)
    frames = [
        big[16 - i * shift[1]:80 - i * shift[1],
            16 - i * shift[0]:80 - i * shift[0]] for i in range(4)
    ]
    fields = optical_flow([x for x in frames for _ in range(2)], 0, 3)
    for part, expected in zip(fields, shift, strict=True):
        assert len(part) == 3
        level = 127.5 * (1 + expected / FLOW_BOUND)
        inner = np.stack(part)[:, 12:-12, 12:-12]
        assert np.abs(inner - level).mean() < 2


@pytest.mark.parametrize('domain', DOMAINS)
def test_take_rises_and_put_sinks(domain):
    camera = DOMAINS[domain].camera
    rise = {
        verb: [
            np.diff(object_poses(label, camera, 30,
                                 np.random.default_rng(seed))[[0, -1], 1])[0]
            for seed in range(40)
        ] for label, verb in ((0, 'take'), (1, 'put'))
    }
    assert np.median(rise['take']) < -8 and np.median(rise['put']) > 8


def test_same_seed_same_bytes_with_any_workers(tiny, tmp_path):
    again = make_tiny(tmp_path / 'again', workers=2)
    assert digests(again) == digests(tiny)


def test_another_seed_differs(tiny, tmp_path):
    other = make_tiny(tmp_path / 'other', seed=1)
    media = [{x for name, x in digests(root).items() if 'wav' in name
              or 'mp4' in name} for root in (tiny, other)]
    assert not media[0] & media[1]


def test_second_call_is_a_no_op(tmp_path):
    root = make_tiny(tmp_path / 'mini')
    times = {x: x.stat().st_mtime_ns for x in root.rglob('*')}
    assert make_tiny(root) == root
    assert {x: x.stat().st_mtime_ns for x in root.rglob('*')} == times


@pytest.mark.parametrize('harm', ['unfinished', 'lost file', 'cut file',
                                  'other recipe', 'interrupted'])
def test_unfinished_set_is_made_anew(tiny, tmp_path, harm):
    root = tmp_path / 'mini'
    shutil.copytree(tiny, root)
    note = root / 'mine.txt'
    note.write_text('stays')
    stamp = root / STAMP_NAME
    fields = json.loads(stamp.read_text())
    wav = next(root.rglob('*.wav'))
    if harm == 'unfinished':
        stamp.write_text(json.dumps(dict(fields, complete=False)))
    elif harm == 'other recipe':
        stamp.write_text(json.dumps(dict(fields, recipe_version=0)))
    elif harm == 'lost file':
        wav.unlink()
    elif harm == 'cut file':
        wav.write_bytes(wav.read_bytes()[:100])
    else:
        (root / SPLITS_DIR).rename(root / '.partial')
    make_tiny(root)
    assert note.read_text() == 'stays'
    note.unlink()
    assert digests(root) == digests(tiny)


def test_failure_leaves_no_finished_set(tmp_path, monkeypatch):
    from mbcd_mmaction.datasets.mini import write

    def fail(*args):
        raise OSError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr(write, 'write_sound', fail)
        with pytest.raises(OSError, match='disk full'):
            make_tiny(tmp_path / 'mini')
    assert not (tmp_path / 'mini' / SPLITS_DIR).exists()
    stamp = json.loads((tmp_path / 'mini' / STAMP_NAME).read_text())
    assert stamp['complete'] is False
    make_tiny(tmp_path / 'mini')
    assert (tmp_path / 'mini' / SPLITS_DIR).is_dir()


def test_foreign_folder_is_left_alone(tmp_path):
    mine = tmp_path / SPLITS_DIR / 'D1_train.pkl'
    mine.parent.mkdir()
    mine.write_bytes(b'real annotations')
    with pytest.raises(FileExistsError, match='not made by'):
        make_tiny(tmp_path)
    assert [x for x in tmp_path.rglob('*') if x.is_file()] == [mine]


@pytest.mark.parametrize('wrong', [dict(train_clips=20), dict(test_clips=0)])
def test_numbers_of_clips_are_checked(tmp_path, wrong):
    with pytest.raises(ValueError, match=f'{next(iter(wrong))}.*multiple'):
        make_tiny(tmp_path / 'mini', **wrong)
    assert not (tmp_path / 'mini').exists()


def test_default_set_stays_small(mini_root):
    size = sum(x.stat().st_size for x in mini_root.rglob('*') if x.is_file())
    assert size / (3 * 24) * 3 * (176 + 80) < 40e6


def test_unknown_actions_are_no_class_of_the_set(tmp_path):
    """Same kitchens; other motions, sounds and shapes."""
    assert not {(a.motion, a.sound, a.shape) for a in UNKNOWN} & {
        (a.motion, a.sound, a.shape) for a in CLASSES}
    for cue in ('verb', 'motion', 'sound', 'shape'):
        assert not ({getattr(a, cue) for a in UNKNOWN} &
                    {getattr(a, cue) for a in CLASSES})
    known, unknown = (plan_split(0, 'D2', 'test', 8, 1, unknown=flag)[0]
                      for flag in (False, True))
    assert sorted(clip.label for clip in known.clips) == list(range(8))
    assert sorted(clip.label for clip in unknown.clips) == [
        8, 8, 9, 9, 10, 10, 11, 11]
    assert [c.verb_class for c in known.clips] == [
        c.label for c in known.clips]
    assert {c.verb_class for c in unknown.clips} == {0, 1, 2, 3}
    sound = render_recording(unknown)
    assert sound.dtype == np.int16 and sound.std() > 50
    ground = recording_ground(unknown)
    assert np.array_equal(ground, recording_ground(known))
    for position in range(8):
        frames = render_clip(unknown, position, 12, ground)
        assert len(frames) == 12 and frames[0].shape == (64, 64, 3)
        moved = np.abs(frames[0].astype(int) - frames[6]).mean()
        assert moved > 1
    _write_annotations(tmp_path / 'a.csv', [unknown], 0)
    rows = list(csv.DictReader((tmp_path / 'a.csv').open()))
    for row in rows:
        assert row['verb'] == UNKNOWN[int(row['verb_class'])].verb
