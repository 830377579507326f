"""Sound tracks as wav files, in step with the picture."""
import numpy as np
import own_videos
import pytest
import soundfile

from mbcd_mmaction.datasets.errors import MediaError
from mbcd_mmaction.datasets.extraction import sound


def extract(tmp_path, video, **options):
    path = str(tmp_path / 'out.wav')
    sound.write_sound_track(path, str(video), **options)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (
        16000, 1, 'PCM_16')
    return soundfile.read(path)[0]


def onset(wave):
    """Second at which something is heard."""
    return np.flatnonzero(np.abs(wave) > .05)[0] / 16000


def beep(silent=1.0, loud=1.0):
    """A tone after silence."""
    return np.concatenate(
        [np.zeros((2, round(silent * own_videos.AUDIO_RATE)), np.float32),
         own_videos.tone(loud)], 1)


@pytest.mark.parametrize('delay', [0, .5])
def test_in_step_with_the_picture(tmp_path, delay):
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(60), beep(),
                           delay=delay)
    wave = extract(tmp_path, tmp_path / 'a.mp4')
    assert onset(wave) == pytest.approx(1 + delay, abs=.01)
    assert wave.size / 16000 == pytest.approx(2 + delay, abs=.05)
    assert not wave[:round(16000 * delay)].any()


@pytest.mark.parametrize('name, codec', [
    ('a.mkv', 'aac'), ('a.mov', 'pcm_s16le'), ('a.avi', 'mp3'),
    ('a.mkv', 'flac')])
def test_containers(tmp_path, name, codec):
    own_videos.write_movie(tmp_path / name, own_videos.moving(50), beep(),
                           audio_codec=codec)
    assert onset(extract(tmp_path, tmp_path / name)) == pytest.approx(
        1, abs=.06)


def test_channels_are_averaged(tmp_path):
    both = own_videos.tone(1)
    left = both * [[1], [0]]
    peaks = []
    for number, wave in enumerate([both, left.astype(np.float32), both[:1]]):
        path = tmp_path / f'{number}.mkv'
        own_videos.write_movie(path, own_videos.moving(25), wave,
                               audio_codec='flac')
        peaks.append(np.abs(extract(tmp_path, path)[2000:-2000]).max())
    np.testing.assert_allclose(peaks, [.5, .25, .5], atol=.01)


def test_sound_alone(tmp_path):
    own_videos.write_movie(tmp_path / 'a.mp4', None, own_videos.tone(1))
    assert onset(extract(tmp_path, tmp_path / 'a.mp4')) < .05


def test_no_sound(tmp_path):
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(50))
    with pytest.raises(MediaError, match='holds no sound'):
        extract(tmp_path, tmp_path / 'a.mp4')
    wave = extract(tmp_path, tmp_path / 'a.mp4', silence_ok=True)
    assert wave.size == 32000 and not wave.any()


def test_pieces_are_the_whole(tmp_path, monkeypatch):
    """Seams are not heard, and no more than a piece is read at once."""
    time = np.arange(5 * own_videos.AUDIO_RATE) / own_videos.AUDIO_RATE
    chirp = np.tile(.5 * np.sin(2 * np.pi * 200 * time**2), (2, 1))
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(25),
                           chirp.astype(np.float32), delay=.2)
    whole = extract(tmp_path, tmp_path / 'a.mp4')
    monkeypatch.setattr(sound, '_SECONDS', 1)
    sizes = []
    write = sound.SoundWriter.write
    monkeypatch.setattr(
        sound.SoundWriter, 'write',
        lambda self, piece: (sizes.append(piece.size), write(self, piece)))
    parts = extract(tmp_path, tmp_path / 'a.mp4')
    # Where the tone breaks off AAC puts noise that each decoding draws anew.
    end = round(5.19 * 16000)
    np.testing.assert_allclose(parts[:end], whole[:end], atol=2 / 32768)
    np.testing.assert_allclose(parts[end:], whole[end:], atol=.03)
    assert len(whole) > 5 * 16000 and max(sizes) <= 17000


class Holes:
    """Sound at 0-1 s and 4-4.5 s, of a track without an end in between."""
    rate = 100

    def read(self, start, stop):
        wave = np.zeros(450, np.float32)
        wave[:100] = wave[400:] = 1
        if start in (1, 2, 3):
            return wave[:0]
        return wave[start * 100:stop * 100]


def test_a_hole_stays_one(monkeypatch):
    monkeypatch.setattr(sound, '_SECONDS', 1)
    wave = np.concatenate(list(sound._pieces(Holes(), 4.5)))
    assert len(wave) == 450
    assert np.flatnonzero(wave == 0).tolist() == list(range(100, 400))


def test_cut_off(tmp_path):
    """Not a shorter wav: an error."""
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(50),
                           own_videos.tone(20), faststart=True)
    whole = (tmp_path / 'a.mp4').read_bytes()
    (tmp_path / 'b.mp4').write_bytes(whole[:len(whole) // 2])
    with pytest.raises((MediaError, own_videos.av.error.InvalidDataError)):
        extract(tmp_path, tmp_path / 'b.mp4')
