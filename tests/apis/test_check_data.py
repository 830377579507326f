"""The check of a set sees each kind of harm, and none in a good set."""
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import own_videos
import pytest
import soundfile
import tiny_sets
from mmengine.config import Config

from mbcd_mmaction.apis.check_data import check, format_report
from mbcd_mmaction.apis.check_data import check as checking
from mbcd_mmaction.apis.check_data.findings import KINDS
from mbcd_mmaction.apis.check_data.report import as_json
from mbcd_mmaction.apis.modalities import follow_modalities
from mbcd_mmaction.datasets.extraction.from_manifest import (
    extract_audio,
    extract_flow,
)
from mbcd_mmaction.datasets.transforms import audio

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/data/check.py'
CLASSES = ['run', 'wave']
DOMAINS = ['home', 'office', 'street']


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A set with nothing wrong: 3 domains x 2 classes x 2 splits."""
    root = tmp_path_factory.mktemp('good')
    rows = []
    for d, domain in enumerate(DOMAINS):
        for c, label in enumerate(CLASSES):
            for s, split in enumerate(('train', 'test')):
                name = f'{domain}/{label}_{split}.mp4'
                own_videos.write_movie(
                    root / name, own_videos.moving(30, 1 + c, d, seed=s),
                    own_videos.tone(1.2, 300 + 100 * c), rate=25)
                rows.append(dict(video=name, start='', stop='', label=label,
                                 domain=domain, split=split, audio=''))
    manifest = tiny_sets.write_manifest(root / 'm.csv', rows)
    for extract in (extract_flow, extract_audio):
        options = dict(short_side=64) if extract is extract_flow else {}
        report = extract(str(manifest), workers=1, progress=False, **options)
        assert report.num_done == 12
    return root


@pytest.fixture
def root(good, tmp_path):
    """A copy to do harm to."""
    shutil.copytree(good, tmp_path / 'set')
    return tmp_path / 'set'


def config(root, **options):
    cfg = Config.fromfile(ROOT / 'configs/mbcd/own_data_small.py')
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.ann_file, dataset.classes = str(root / 'm.csv'), CLASSES
    cfg.model.num_classes = len(CLASSES)
    cfg.merge_from_dict(options)
    return follow_modalities(cfg, options)


def edit(root, change):
    """Rewrite the manifest through a function of its rows."""
    with open(root / 'm.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    tiny_sets.write_manifest(root / 'm.csv', change(rows) or rows)


def kinds(result):
    return {item.kind for item in result.findings}


def only(result, kind):
    """The findings of a kind, of which there must be no other."""
    assert kinds(result) == {kind}, format_report(result)
    return result.findings


@pytest.mark.parametrize('decode', [False, True])
def test_a_good_set(good, decode):
    result = check(config(good), decode=decode, content=True, workers=1)
    assert result.findings == []
    # Two sources in train and val, one target in test, two classes.
    assert result.num_clips == 4 + 4 + 2
    assert result.num_files == 10 * 4  # picture, x, y, sound
    assert sum(result.counts.values()) == result.num_clips
    assert {key[:2] for key in result.counts} == {
        ('train', 'home'), ('train', 'office'), ('val', 'home'),
        ('val', 'office'), ('test', 'street')}
    assert result.media['flow']['files'] == 2 * result.media['video']['files']
    assert result.media['audio']['rates'] == {
        16000.0: result.media['audio']['files']}
    assert (result.decode_seconds is not None) == decode
    text = format_report(result)
    assert 'train home' in text and '0 errors, 0 warnings' in text
    assert ('all read in' in text) == decode


VIDEO = 'home/run_train.mp4'
FLOW = f'derived/flow/{VIDEO}_y.mp4'
SOUND = f'derived/audio/{VIDEO}.wav'


def cut(path, share=.5):
    data = path.read_bytes()
    path.write_bytes(data[:round(len(data) * share)])


def rewrite(path, count=30, rate=25, sound=True, **options):
    own_videos.write_movie(
        path, own_videos.moving(count, 1) if count else None,
        own_videos.tone(count / rate if count else 1) if sound else None,
        rate=rate, **options)


def write_wav(path, seconds=1.2, rate=16000, level=.5):
    wave = level * np.sin(np.arange(round(seconds * rate)) / 5)
    soundfile.write(path, wave, rate, subtype='PCM_16')


HARMS = {
    'no video': (VIDEO, lambda p: p.unlink(), 'missing'),
    'no flow': (FLOW, lambda p: p.unlink(), 'missing'),
    'empty video': (VIDEO, lambda p: p.write_bytes(b''), 'empty file'),
    'empty sound': (SOUND, lambda p: p.write_bytes(b''), 'empty file'),
    'cut off': (VIDEO, cut, 'unreadable'),
    'cut off, table first': (
        VIDEO, lambda p: (rewrite(p, faststart=True, sound=False), cut(p, .7)),
        'unreadable'),
    'text': (VIDEO, lambda p: p.write_text('not a video'), 'unreadable'),
    'text as sound': (SOUND, lambda p: p.write_text('no'), 'unreadable'),
    'sound alone': (VIDEO, lambda p: rewrite(p, 0), 'unreadable'),
    'flow too short': (FLOW, lambda p: rewrite(p, 20, sound=False),
                       'flow length'),
    'no samples': (SOUND, lambda p: write_wav(p, 0), 'zero length'),
    'silent': (SOUND, lambda p: write_wav(p, level=0), 'silent'),
    'other rate': (SOUND, lambda p: write_wav(p, rate=44100), 'rate'),
}


@pytest.mark.parametrize('name', HARMS)
def test_a_harmed_file(root, name):
    path, harm, kind = HARMS[name]
    harm(root / path)
    result = check(config(root), workers=1)
    finding, = only(result, kind)
    assert path in finding.where + finding.text
    assert finding.splits == ('train', )
    assert bool(result.errors) == KINDS[kind][0]


def test_both_flows_too_short(root):
    """Half the rate is right, a third is not."""
    for count, kind in ((29, set()), (30, set()), (15, set()), (14, set()),
                        (10, {'flow length'}), (59, {'flow length'})):
        for axis in 'xy':
            rewrite(root / f'derived/flow/{VIDEO}_{axis}.mp4', count,
                    sound=False)
        assert kinds(check(config(root), workers=1)) == kind, count


def test_a_video_of_another_rate(root):
    rewrite(root / 'home/run_train.mp4', rate=50)
    found = only(check(config(root), workers=1), 'rate')
    assert [item.text for item in found] == [
        '50 a second, most video files of home have 25']


@pytest.mark.parametrize('start, stop, kind', [
    (.2, 1, None), ('', 1, None), (.2, '', None), (0, 1.4, None),
    (0, 2, 'beyond the end'), (3, '', 'beyond the end'),
    (1.5, 1.6, 'beyond the end')])
def test_parts_of_a_video(root, start, stop, kind):
    edit(root, lambda rows: rows[0].update(start=start, stop=stop))
    extract_flow(str(root / 'm.csv'), workers=1, progress=False,
                 short_side=64)
    result = check(config(root), workers=1)
    if kind is None:
        assert kinds(result) == set()
        return
    assert kind in kinds(result) <= {kind, 'missing'}  # no flow could be made
    where = {item.where for item in result.findings if item.kind == kind}
    assert len(where) == 2  # of the picture and of the sound


def test_video_without_sound(root):
    rewrite(root / VIDEO, sound=False)
    (root / SOUND).unlink()
    assert only(check(config(root), workers=1), 'no sound')[0].where == str(
        root / VIDEO)
    assert kinds(check(config(root, **{
        'model.modalities': ['video', 'flow']}), workers=1)) == set()


def test_silent_track_of_a_video(root):
    """Its sound must be decoded to be heard."""
    own_videos.write_movie(root / VIDEO, own_videos.moving(30, 1),
                           own_videos.tone(1.2, level=0), rate=25)
    (root / SOUND).unlink()
    # 44.1 kHz, where the others have 16.
    assert kinds(check(config(root), workers=1)) == {'rate'}
    result = check(config(root), decode=True, workers=1)
    assert kinds(result) == {'rate', 'silent'}
    finding, = [item for item in result.findings if item.kind == 'silent']
    assert 'run_train' in finding.where


def test_sound_of_another_kind_is_said_once_a_pipeline(root, monkeypatch):
    """Not for each clip: 44.1 kHz and stereo are what cameras write."""
    shutil.rmtree(root / 'derived/audio')
    said = []
    monkeypatch.setattr(audio, 'print_log',
                        lambda text, **_: said.append(text))
    result = check(config(root), decode=True, workers=1)
    assert result.findings == [] and result.num_clips == 10
    assert sum('2 channels' in text for text in said) == 3
    assert sum('44100 Hz' in text for text in said) == 3
    assert len(said) == 6


def test_labels(root):
    edit(root, lambda rows: [row.update(label=n)
                             for n, row in enumerate(rows)] and rows)
    found = check(config(root), workers=1).findings
    labels = [item for item in found if item.kind == 'label']
    assert {item.kind for item in found} == {'label', 'no clips'}
    assert {item.text for item in labels} == {
        f'expected 0 to 1, got {n}' for n in (2, 3, 4, 5, 6, 7, 9, 11)}
    assert len(labels) == 8


@pytest.mark.parametrize('label, text', [
    ('jump', "label 'jump' is no class"), (-1, '-1')])
def test_labels_that_are_no_classes(root, label, text):
    edit(root, lambda rows: rows[0].update(label=label))
    result = check(config(root), workers=1)
    assert kinds(result) >= {'dataset'}
    assert text in result.errors[0].text
    assert 'm.csv, line 2' in result.errors[0].text


def test_another_number_of_classes(good):
    found = only(check(config(good, **{'model.num_classes': 8}), workers=1),
                 'num_classes')
    assert {item.where for item in found} == {'train', 'val', 'test'}
    assert found[0].text == ('the dataset has 2 classes, model.num_classes '
                             'is 8')


def test_a_class_without_clips(root):
    edit(root, lambda rows: [row for row in rows
                             if (row['label'], row['split']) != (
                                 'wave', 'train')])
    finding, = only(check(config(root), workers=1), 'no clips')
    assert (finding.where, finding.text) == ('train', 'wave')


@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_target_among_the_sources(good, split):
    result = check(config(good, **{
        f'{split}_dataloader.dataset.domains': DOMAINS}), workers=1)
    found = only(result, 'domain overlap')
    assert 'domain street' in {item.where for item in found}
    files = [item for item in found if item.where.startswith('file')]
    # With val the very files are the same, and their flow and sound.
    assert len(files) == (0 if split == 'train' else 8)
    assert result.errors


def test_a_file_of_the_target_in_a_source(root):
    edit(root, lambda rows: [*rows, dict(rows[-1], domain='home',
                                         split='train')])
    found = only(check(config(root), workers=1), 'domain overlap')
    assert f'file {root}/street/wave_test.mp4' in {
        item.where for item in found}


def test_train_in_val(root):
    edit(root, lambda rows: [*rows, dict(rows[0], split='test')])
    finding, = only(check(config(root), workers=1), 'split overlap')
    assert finding.where == str(root / VIDEO)


@pytest.mark.parametrize('train, val, shared', [
    ((0, .6), (.6, 1.2), False), ((.6, ''), (0, .6), False),
    ((0, .6), (.5, 1.2), True), ((0, ''), (.2, .4), True),
    (('', ''), (.2, .4), True)])
def test_a_part_of_train_in_val(root, train, val, shared):
    def parts(rows):
        rows[0].update(zip(('start', 'stop'), train, strict=True))
        return [*rows, dict(rows[0], split='test', start=val[0], stop=val[1])]

    edit(root, parts)
    result = check(config(root, **{
        'model.modalities': ['video', 'audio']}), workers=1)
    assert kinds(result) == ({'split overlap'} if shared else set())
    if shared:
        finding, = result.findings
        assert finding.where == f'{root / VIDEO} {val[0]:g} to {val[1]:g} s'
        assert f'shares time with {root / VIDEO}' in finding.text


@pytest.mark.parametrize('label, kind', [('run', 'duplicate'),
                                         ('wave', 'two labels')])
def test_a_clip_twice(root, label, kind):
    edit(root, lambda rows: [*rows, dict(rows[0], label=label)])
    finding, = only(check(config(root), workers=1), kind)
    assert finding.num_clips == 2 and not finding.is_error


def test_a_copy_under_another_name(root):
    shutil.copy(root / VIDEO, root / 'home/wave_train.mp4')
    assert kinds(check(config(root), workers=1)) == set()
    finding, = only(check(config(root), content=True, workers=1),
                    'same content')
    assert {finding.where, finding.text} == {
        str(root / VIDEO), str(root / 'home/wave_train.mp4')}


def test_decoding_finds_what_headers_do_not_tell(root):
    """Bytes in the middle of a video are broken."""
    rewrite(root / VIDEO, sound=False, faststart=True)
    data = bytearray((root / VIDEO).read_bytes())
    place = data.index(b'mdat') + 4
    data[place:] = bytes(255 - x for x in data[place:])
    (root / VIDEO).write_bytes(data)
    assert kinds(check(config(root), workers=1)) == set()
    finding, = only(check(config(root), decode=True, workers=1), 'unreadable')
    assert finding.where == str(root / VIDEO)
    assert 'video of clip' in finding.text


def test_a_mistake_in_a_pipeline(good):
    cfg = config(good)
    steps = cfg.train_dataloader.dataset.pipeline[0].pipelines.video
    del steps[3]  # nothing is decoded
    found = only(check(cfg, decode=True, workers=1), 'pipeline')
    assert len(found) == 4 and found[0].splits == ('train', )


def test_processes_find_the_same(root, monkeypatch):
    (root / FLOW).unlink()
    rewrite(root / VIDEO, 20, sound=False, faststart=True)
    cut(root / VIDEO, .6)
    one = check(config(root), decode=True, workers=1)
    monkeypatch.setattr(sys.modules[checking.__module__], '_FEW_FILES', 0)
    monkeypatch.setattr(sys.modules[checking.__module__], '_CHUNK', 4)
    two = check(config(root), decode=True, workers=2)
    assert one.findings and two.findings == one.findings
    assert two.media == one.media and two.counts == one.counts


def test_missing_splits_and_datasets(good, tmp_path):
    cfg = config(good, val_dataloader=None)
    assert {key[0] for key in check(cfg, workers=1).counts} == {
        'train', 'test'}
    result = check(config(tmp_path), ['train'], workers=1)
    finding, = only(result, 'dataset')
    assert 'expected a manifest, found none' in finding.text
    assert 'no clips' in format_report(result)


@pytest.mark.parametrize('layout', ['mini', 'broken'])
def test_other_datasets(mini_root, tmp_path, layout):
    """EPIC's layout: audio is one file for many clips."""
    place = tmp_path / 'mini'
    shutil.copytree(mini_root, place)
    cfg = Config.fromfile(ROOT / 'configs/mbcd/mini_d1.py')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(place)
    if layout == 'broken':
        next(place.rglob('train/D2/*.wav')).unlink()
    result = check(cfg, workers=1)
    assert result.num_clips == 2 * 16 + 2 * 8 + 8
    if layout == 'mini':
        assert result.findings == []
    else:
        finding, = only(result, 'missing')
        assert finding.num_clips > 1


def start(root, *arguments, config_file='configs/mbcd/own_data_small.py'):
    options = [f'{split}_dataloader.dataset.{key}'
               for split in ('train', 'val', 'test')
               for key in (f'ann_file={root}/m.csv', 'classes=run,wave')]
    return subprocess.run(
        [sys.executable, str(TOOL), str(ROOT / config_file), *arguments,
         '--cfg-options', 'model.num_classes=2', *options],
        capture_output=True, text=True, cwd=ROOT)


def test_exit_status_and_json(root, tmp_path):
    done = start(root)
    assert done.returncode == 0, done.stdout + done.stderr
    write_wav(root / SOUND, level=0)
    assert start(root).returncode == 0
    assert start(root, '--strict').returncode == 1
    (root / VIDEO).unlink()
    done = start(root, '--json', str(tmp_path / 'a.json'), '--splits', 'train')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    found = json.loads((tmp_path / 'a.json').read_text())
    assert (found['num_errors'], found['num_warnings']) == (1, 1)
    assert {item['kind']: item['error'] for item in found['findings']} == {
        'missing': True, 'silent': False}
    assert {item['split'] for item in found['counts']} == {'train'}
    assert f'ERROR: missing, no such file: 1\n  train: {root}/{VIDEO}' in (
        done.stdout)


def test_a_config_that_cannot_be_loaded(tmp_path):
    done = subprocess.run([sys.executable, str(TOOL), str(tmp_path / 'a.py')],
                          capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert 'cannot be loaded' in done.stderr
    assert 'Traceback' not in done.stderr


def test_json_has_all_of_a_result(good):
    result = check(config(good), workers=1)
    assert json.loads(json.dumps(as_json(result)))['num_clips'] == (
        result.num_clips)
