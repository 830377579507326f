"""Re-encoding changes where decoding can begin, and little else."""
import json

import av
import numpy as np
import pytest
import soundfile
from tiny_films import FILM, in_sequence, write_at

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.extraction import reencode_video as one_video
from mbcd_mmaction.datasets.extraction.reencode import reencode_set
from mbcd_mmaction.datasets.extraction.reencode_video import reencode_video
from mbcd_mmaction.datasets.readers import VideoReader, open_sound

VARIABLE = [500 + n * 20 + n % 3 * 7 + 400 * (n > 20) for n in range(60)]


def packets(path):
    with av.open(str(path)) as file:
        return [p for p in file.demux(video=0) if p.size]


def with_sound(path, degrees=0):
    """A video of 2 s with sound and B frames."""
    with av.open(str(path), 'w') as file:
        video = file.add_stream('libx264', rate=30, options=dict(bf='2'))
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        if degrees:
            video.set_display_rotation(degrees)
        sound = file.add_stream('aac', rate=16000)
        sound.layout = 'mono'
        wave = np.sin(np.arange(32768) / 9).astype(np.float32)
        for number, image in enumerate(FILM):
            file.mux(video.encode(av.VideoFrame.from_ndarray(image)))
            if number < 32:
                frame = av.AudioFrame.from_ndarray(
                    wave[None, 1024 * number:1024 * (number + 1)].copy(),
                    'fltp', 'mono')
                frame.sample_rate, frame.pts = 16000, 1024 * number
                file.mux(sound.encode(frame))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))


@pytest.mark.parametrize('suffix, form', [('mp4', 'mp4'),
                                          ('mkv', 'matroska')])
@pytest.mark.parametrize('gop', [4, 16])
def test_key_frames_are_near_and_times_kept(tmp_path, suffix, form, gop):
    old, new = tmp_path / f'a.{suffix}', tmp_path / f'b.{suffix}'
    write_at(old, FILM, VARIABLE, g='50', bf='3')
    reencode_video(str(new), str(old), form, gop=gop)
    keys = [place for place, p in enumerate(packets(new)) if p.is_keyframe]
    assert max(np.diff([*keys, 60])) <= gop
    stamps = [p.pts for p in packets(new)]
    assert stamps == sorted(stamps)  # no B frames
    left, right = VideoReader(str(old)), VideoReader(str(new))
    assert left.num_frames == right.num_frames == 60
    np.testing.assert_allclose(left.times, right.times, atol=1e-6)
    error = np.subtract(*(np.float32(in_sequence(x)[1]) for x in (old, new)))
    assert np.abs(error).mean() < 4


def test_less_is_decoded_of_it(tmp_path):
    old, new = tmp_path / 'a.mp4', tmp_path / 'b.mp4'
    write_at(old, FILM, VARIABLE, g='60', bf='0', sc_threshold='0')
    reencode_video(str(new), str(old))
    counts = []
    for path in (old, new):
        reader = VideoReader(str(path))
        reader.read([50, 55])
        counts.append(reader.media.packets_decoded)
    assert counts == [56, 8]


def test_sound_and_orientation_are_kept(tmp_path):
    old, new = tmp_path / 'a.mp4', tmp_path / 'b.mp4'
    with_sound(old, -90)
    reencode_video(str(new), str(old))
    assert VideoReader(str(new)).shape == (64, 48)
    left, right = (open_sound(str(x)).read(0, None) for x in (old, new))
    np.testing.assert_array_equal(left, right)


def test_crf_0_loses_nothing(tmp_path):
    old, new = tmp_path / 'a.mp4', tmp_path / 'b.mp4'
    write_at(old, FILM, VARIABLE)
    reencode_video(str(new), str(old), crf=0)
    for left, right in zip(in_sequence(old)[1], in_sequence(new)[1],
                           strict=True):
        np.testing.assert_array_equal(left, right)


def a_set(root):
    """Two videos, one of which is flow, a wav, annotations, hidden files."""
    for name in ('rgb/a.mp4', 'flow/a_x.mp4'):
        (root / name).parent.mkdir(parents=True)
        write_at(root / name, FILM[:20], VARIABLE[:20])
    soundfile.write(root / 'rgb/a.wav', np.zeros(99), 16000)
    (root / 'list.csv').write_text('a,1\n')
    (root / '.hidden').write_text('x')
    return root


def run(root, target, **options):
    return reencode_set(str(root), str(target), workers=1, progress=False,
                        **options)


def test_a_set_keeps_its_layout_and_is_resumed(tmp_path):
    root, target = a_set(tmp_path / 'in'), tmp_path / 'out'
    report = run(root, target)
    assert (report.num_done, report.num_skipped, report.failures) == (4, 0, [])
    names = {'rgb/a.mp4', 'flow/a_x.mp4', 'rgb/a.wav', 'list.csv'}
    assert names == {
        str(path.relative_to(target)) for path in target.rglob('*')
        if path.is_file() and path.name not in ('reencode.json', '.lock')}
    for name in ('rgb/a.wav', 'list.csv'):
        assert (root / name).read_bytes() == (target / name).read_bytes()
    stamp = (target / 'flow/a_x.mp4').stat().st_mtime_ns
    (target / 'rgb/a.mp4').unlink()
    report = run(root, target)
    assert (report.num_done, report.num_skipped) == (1, 3)
    assert (target / 'flow/a_x.mp4').stat().st_mtime_ns == stamp
    with pytest.raises(ValueError, match='begun with.*--overwrite'):
        run(root, target, gop=8)
    assert run(root, target, gop=8, overwrite=True).num_done == 4
    assert json.loads((target / 'reencode.json').read_text())['gop'] == 8


def test_bad_files_are_reported_and_not_written(tmp_path):
    root, target = a_set(tmp_path / 'in'), tmp_path / 'out'
    (root / 'rgb/broken.mp4').write_bytes(b'no video')
    (root / 'rgb/old.avi').write_bytes(b'any')
    data = (root / 'rgb/a.mp4').read_bytes()
    (root / 'rgb/cut.mp4').write_bytes(data[:len(data) // 2])
    report = run(root, target)
    assert report.num_done == 4
    assert [f.name for f in report.failures] == [
        'rgb/broken.mp4', 'rgb/cut.mp4', 'rgb/old.avi']
    assert 'h264 keeps its time stamps' in report.failures[2].reason
    assert not list(target.rglob('old.*')) + list(target.rglob('*.part'))


@pytest.mark.parametrize('change, message', [
    (dict(num_frames=59), 'it has frames 60, what came out has 59'),
    (dict(shape=(48, 63)), 'it has .H, W. .48, 64.'),
    (dict(times=np.arange(60) / 9), 'is shown at')])
def test_what_differs_is_refused(tmp_path, monkeypatch, change, message):
    old, new = tmp_path / 'a.mp4', tmp_path / 'b.mp4'
    write_at(old, FILM, VARIABLE)

    def reader(path):
        found = VideoReader(path)
        if path == str(new):
            vars(found).update(change)
        return found

    monkeypatch.setattr(one_video, 'VideoReader', reader)
    with pytest.raises(MediaError, match=f'not re-encoded: .*{message}'):
        reencode_video(str(new), str(old))


@pytest.mark.parametrize('options, message', [
    (dict(gop=0), 'gop of 1'), (dict(crf=52), 'crf from 0'),
    (dict(tune='film'), 'tune of')])
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / 'in', tmp_path / 'out', **options)


def test_folders_must_be_two(tmp_path):
    root = a_set(tmp_path / 'in')
    for target in (root, root / 'new', tmp_path):
        with pytest.raises(ValueError, match='neither in the other'):
            run(root, target)
    with pytest.raises(FileNotFoundError, match='no files below'):
        run(tmp_path / 'missing', tmp_path / 'out')
