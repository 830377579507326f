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


def test_in_small_pieces_only(tmp_path, monkeypatch):
    """However long the track, what is written at once is short."""
    sizes = []
    write = sound.SoundWriter.write
    monkeypatch.setattr(
        sound.SoundWriter, 'write',
        lambda self, piece: (sizes.append(piece.size), write(self, piece)))
    own_videos.write_movie(tmp_path / 'a.mp4', own_videos.moving(25),
                           own_videos.tone(20))
    wave = extract(tmp_path, tmp_path / 'a.mp4')
    assert wave.size == sum(sizes) and wave.size > 16000 * 19
    assert max(sizes) < 16000 * 2


@pytest.mark.parametrize('late, rest', [(.5, True), (2 * 3600, False)])
def test_a_hole_in_the_track(late, rest):
    """Kept as silence; an absurd one is an error, not hours of it."""

    def frames():
        for number in range(20):
            frame = own_videos.av.AudioFrame.from_ndarray(
                np.full((1, 800), .5, np.float32), 'fltp', 'mono')
            frame.sample_rate = 16000
            frame.time_base = own_videos.Fraction(1, 16000)
            frame.pts = 800 * number + (round(16000 * late)
                                        if number > 9 else 0)
            yield frame

    pieces = sound._placed('a.mp4', frames(), 0)
    if not rest:
        with pytest.raises(MediaError, match='a hole of 7200 s'):
            list(pieces)
        return
    wave = np.concatenate([piece for _, piece in pieces])
    assert wave.size == 16000 * 1.5
    assert not wave[8000:16000].any()
    assert wave[:8000].all() and wave[16000:].all()
