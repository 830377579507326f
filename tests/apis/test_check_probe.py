"""What single files tell without being decoded."""
import numpy as np
import own_videos
import pytest
import tiny_media
from tiny_films import cut_half

from mbcd_mmaction.apis.check_data.probe import Task, probe
from mbcd_mmaction.apis.check_data.report import format_table


def test_folders_of_frames(tmp_path):
    """Some numbers are missing."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number in (1, 2, 4, 5, 6):
        (folder / f'frame_{number:010d}.jpg').write_bytes(b'x')
    (folder / 'other.txt').touch()
    media = probe(Task('folder', str(folder), ('frame_{:010d}.jpg', )))
    assert media.present.tolist() == [1, 2, 4, 5, 6]
    (tmp_path / 'none').mkdir()
    assert probe(Task('folder', str(tmp_path / 'none'),
                      ('frame_{:010d}.jpg', ))).problem == 'zero length'


@pytest.mark.parametrize('name, codec, says', [
    ('a.mkv', 'aac', 'its header says 4.0'),
    ('a.flv', 'aac', 'its header says 4.0'),
    ('a.avi', 'mp3', 'its header lists 100 frames')])
def test_other_containers_that_are_cut_off(tmp_path, name, codec, says):
    """What is left of them can be read, as if it were all."""
    path = tmp_path / name
    own_videos.write_movie(path, own_videos.moving(100, 1),
                           own_videos.tone(4), audio_codec=codec)
    assert probe(Task('video', str(path))).num_frames == 100
    cut_half(path)
    media = probe(Task('video', str(path)))
    assert media.problem == 'unreadable' and says in media.reason


def test_sound_that_goes_on_is_no_cut(tmp_path):
    path = tmp_path / 'a.mkv'
    own_videos.write_movie(path, own_videos.moving(25, 1),
                           own_videos.tone(4))
    media = probe(Task('video', str(path)))
    assert not media.problem and media.num_frames == 25


def test_short_silence_in_sound_is_no_silence(tmp_path):
    """One click in a minute is sound; only its own segment has it."""
    wave = np.zeros(16000 * 60)
    wave[16000 * 30 + 77] = .1
    tiny_media.write_wav(tmp_path / 'a.wav', wave)
    parts = (None, (0., 20.), (20., 40.), (40., None), (70., 80.))
    media = probe(Task('sound', str(tmp_path / 'a.wav'), parts))
    assert set(media.silent) == {(0., 20.), (40., None)}


def test_table():
    assert format_table([('a', 'bc'), ('ddd', 1)]) == 'a    bc\nddd   1'
