import numpy as np
import pytest
import scipy.signal
import soundfile
import tiny_media

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.transforms import (
    AudioSpectrogram,
    LoadAudioClip,
    SpectrogramAugment,
)

RATE = tiny_media.RATE
RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-.8, .8, 10 * RATE)
TIME = np.arange(10 * RATE) / RATE


def load(path, start=0., stop=1., shared=None, **kwargs):
    kwargs.setdefault('duration', 1.)
    record = dict(filename=str(path), segment=(start, stop))
    return LoadAudioClip(**kwargs)(dict(record, shared=shared))


@pytest.fixture
def ramp(tmp_path):
    """Four seconds whose value tells the time: t / 8."""
    wave = np.arange(4 * RATE) / (8 * RATE)
    path = tmp_path / 'ramp.wav'
    soundfile.write(str(path), wave, RATE, subtype='FLOAT')
    return path, wave.astype(np.float32)


def test_the_window_is_read_and_nothing_else(ramp, monkeypatch):
    path, wave = ramp
    asked = []
    read = soundfile.SoundFile.read

    def counted(self, frames=-1, *args, **kwargs):
        asked.append(frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, 'read', counted)
    results = load(path, 1.5, 2.5)
    np.testing.assert_array_equal(results['audios'],
                                  wave[RATE * 3 // 2:RATE * 5 // 2])
    assert results['audios'].dtype == np.float32
    assert results['sample_rate'] == RATE
    assert results['audio_empty'] is False
    load(path, .5, 4.)  # longer than the duration: cut
    assert asked == [RATE, RATE]


def test_shorter_clips_repeat(ramp):
    path, wave = ramp
    audio = load(path, 1., 1.4)['audios']
    part = wave[RATE:RATE + 2 * RATE // 5]
    np.testing.assert_array_equal(
        audio, np.concatenate([part, part, part[:RATE // 5]]))
    one = load(path, 1., 1. + 1 / RATE)['audios']
    assert (one == wave[RATE]).all() and one.shape == (RATE, )


def test_a_window_over_the_end_uses_what_is_there(ramp):
    path, wave = ramp
    audio = load(path, 3.5, 9.)['audios']
    np.testing.assert_array_equal(audio, np.tile(wave[-RATE // 2:], 2))
    early = load(path, -0.5, .5)['audios']
    np.testing.assert_array_equal(early, np.tile(wave[:RATE // 2], 2))


@pytest.mark.parametrize('start, stop', [(2., 2.), (3., 1.), (4., 5.),
                                         (900., 901.), (-3., -1.)])
def test_an_empty_window_is_silence_and_says_so(ramp, start, stop):
    results = load(ramp[0], start, stop)
    assert results['audio_empty'] is True
    assert results['audios'].shape == (RATE, )
    assert not results['audios'].any()


def test_whole_files_and_open_ends(ramp):
    path, wave = ramp
    step = LoadAudioClip(duration=4.)
    for record in (dict(), dict(segment=None), dict(segment=(0., None))):
        audio = step(dict(record, filename=str(path)))['audios']
        np.testing.assert_array_equal(audio, wave)
    audio = step(dict(filename=str(path), segment=(3., None)))['audios']
    np.testing.assert_array_equal(audio, np.tile(wave[3 * RATE:], 4))


@pytest.mark.parametrize('times, low, high', [
    ([[.5, 1.25]], .5, 1.25),
    ([[1.25, .5]], .5, 1.25),  # a window that wraps
    ([[.5, .75], [1., .25]], .25, 1.),  # two clips, the second wraps
    ([[.5, 9.]], .5, 2.),  # not beyond the clip
    ([[.75, .75]], 0., 2.),  # frames shown at one time: the whole clip
    ([[0., 0.], [0., 0.]], 0., 2.),
])
def test_the_stretch_of_the_frames(ramp, times, low, high):
    path, wave = ramp
    shared = dict(window=np.array(times))
    first, last = round((1 + low) * RATE), round((1 + high) * RATE)
    results = load(path, 1., 3., shared, duration=(last - first) / RATE,
                   window='frames')
    np.testing.assert_array_equal(results['audios'], wave[first:last])
    assert results['audio_empty'] is False
    # Nothing follows it: what is longer repeats it.
    results = load(path, 1., 3., shared, duration=2.5, window='frames')
    np.testing.assert_array_equal(results['audios'][last - first],
                                  wave[first])
    clip = load(path, 1., 3., shared, duration=2.)['audios']
    np.testing.assert_array_equal(clip, wave[RATE:3 * RATE])


def test_frames_without_a_window_mean_the_clip(ramp):
    path, wave = ramp
    for shared in (None, {}, dict(flip=True)):
        audio = load(path, 1., 2., shared, window='frames')['audios']
        np.testing.assert_array_equal(audio, wave[RATE:2 * RATE])
    record = dict(filename=str(path), shared=dict(window=[[1., 1.5]]))
    audio = LoadAudioClip(duration=.5, window='frames')(record)['audios']
    np.testing.assert_array_equal(audio, wave[RATE:3 * RATE // 2])


@pytest.mark.parametrize('rate', [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize('start', [0., .5, 1.23457])
def test_a_resampled_slice_is_where_it_was(tmp_path, rate, start):
    """To a sample: the phase of a tone tells the place."""
    path = tmp_path / 'a.wav'
    time = np.arange(3 * rate) / rate
    tiny_media.write_wav(path, .5 * np.sin(2 * np.pi * 500 * time), rate)
    audio = load(path, start, start + 1.)['audios'][2000:-2000]
    time = start + np.arange(2000, RATE - 2000) / RATE
    turn = np.exp(-2j * np.pi * 500 * time) @ audio
    late = (np.angle(turn) + np.pi / 2) / (2 * np.pi * 500) * RATE
    assert abs(late) < 1
    assert abs(2 * np.abs(turn) / len(audio) - .5) < .01


def test_six_channels_and_floats(tmp_path):
    path = str(tmp_path / 'a.wav')
    channels = RNG.uniform(-1, 1, (RATE, 6))
    soundfile.write(path, channels, RATE, subtype='FLOAT')
    np.testing.assert_allclose(load(path)['audios'], channels.mean(1),
                               atol=1e-6)


def test_a_file_without_samples(tmp_path):
    tiny_media.write_wav(tmp_path / 'a.wav', np.zeros(0))
    assert load(tmp_path / 'a.wav')['audio_empty'] is True


def test_other_rates_and_channels(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mbcd_mmaction.datasets.transforms.audio.print_log',
                        lambda message, **kwargs: said.append(message))
    time = np.arange(2 * 44100) / 44100
    tone = np.sin(2 * np.pi * 440 * time)
    stereo = np.stack([.8 * tone, .2 * tone + .1], 1)
    path = tmp_path / 'stereo.wav'
    tiny_media.write_wav(path, stereo, 44100)
    step = LoadAudioClip(duration=1.)
    for _ in range(2):
        results = step(dict(filename=str(path), segment=(.5, 1.5)))
    wanted = .5 * np.sin(2 * np.pi * 440 * (.5 + TIME[:RATE])) + .05
    inner = slice(200, -200)  # the resampler rings at the ends
    np.testing.assert_allclose(
        results['audios'][inner], wanted[inner], atol=2e-3)
    assert len(said) == 2
    assert '2 channels' in said[0] and '44100 Hz' in said[1]


@pytest.mark.parametrize('suffix, subtype', [
    ('wav', 'PCM_U8'), ('wav', 'PCM_24'), ('wav', 'PCM_32'),
    ('wav', 'FLOAT'), ('wav', 'DOUBLE'), ('WAV', 'PCM_16'),
    ('flac', 'PCM_16'), ('flac', 'PCM_24')])
def test_other_sample_formats(tmp_path, suffix, subtype):
    path = tmp_path / f'a.{suffix}'
    wave = .5 * np.sin(2 * np.pi * 440 * TIME[:RATE])
    soundfile.write(str(path), wave, RATE, subtype=subtype)
    away = load(path)['audios'] - wave
    assert np.abs(away).max() <= (2**-7 if 'U8' in subtype else 2**-15)


def test_loud_and_broken_samples(tmp_path):
    path = str(tmp_path / 'a.wav')
    soundfile.write(path, np.linspace(-3, 3, RATE), RATE, subtype='FLOAT')
    audio = load(path)['audios']
    assert audio.min() == -1 and audio.max() == 1
    wave = np.zeros(RATE)
    wave[5] = np.nan
    soundfile.write(path, wave, RATE, subtype='FLOAT')
    with pytest.raises(MediaError, match='not all finite'):
        load(path)


def test_files_that_are_no_sound(tmp_path):
    path = tmp_path / 'a.wav'
    with pytest.raises(soundfile.SoundFileError):
        load(path)
    path.touch()
    with pytest.raises(soundfile.SoundFileError):
        load(path)


@pytest.mark.parametrize('kwargs', [dict(duration=0), dict(sample_rate=-1)])
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match='expected a positive'):
        LoadAudioClip(**kwargs)


def test_an_unknown_window():
    with pytest.raises(ValueError, match="expected 'clip' or 'frames'"):
        LoadAudioClip(window='video')


WAVES = {
    'noise': NOISE,
    'tone': .5 * np.sin(2 * np.pi * 440 * TIME),
    'offset': .2 * NOISE + .4,
    'constant': np.full(10 * RATE, .3),
    'speech-like': NOISE * np.sin(3 * TIME)**8 * np.exp(-.2 * TIME),
    'near silence': 1e-4 * NOISE,
    'one bit': np.rint(.6 * NOISE) / 32768,
    'click': np.eye(1, 10 * RATE, 777)[0],
    'zeros': np.zeros(10 * RATE),
}


@pytest.mark.parametrize('name', WAVES)
def test_spectrogram_equals_scipy(name):
    wave = WAVES[name].astype(np.float32)
    _, _, power = scipy.signal.spectrogram(
        wave.astype(np.float64), RATE, nperseg=512, noverlap=353)
    wanted = np.log(power + 1e-7)
    wanted = (wanted - wanted.mean()) / (wanted.std() + 1e-9)
    results = AudioSpectrogram()(dict(audios=wave))
    assert results['audios'].shape == (1, 1, 257, 1004)
    assert results['audios'].dtype == np.float32
    assert np.abs(results['audios'][0, 0] - wanted).max() < 1e-4


@pytest.mark.parametrize('n_fft, hop_length', [(256, 80), (255, 100)])
def test_spectrogram_of_other_sizes(n_fft, hop_length):
    wave = NOISE[:4000].astype(np.float32)
    _, _, power = scipy.signal.spectrogram(
        wave.astype(np.float64), 8000, nperseg=n_fft,
        noverlap=n_fft - hop_length)
    wanted = np.log(power + 1e-7)
    wanted = (wanted - wanted.mean()) / wanted.std()
    found = AudioSpectrogram(8000, n_fft, hop_length)(
        dict(audios=wave, sample_rate=8000))['audios'][0, 0]
    assert np.abs(found - wanted).max() < 1e-4


def test_spectrogram_of_the_wrong_thing():
    with pytest.raises(ValueError, match='at least n_fft=512 samples, got 5'):
        AudioSpectrogram()(dict(audios=np.zeros(5, np.float32)))
    with pytest.raises(ValueError, match='expected 16000 Hz, got 8000'):
        AudioSpectrogram()(
            dict(audios=np.zeros(999, np.float32), sample_rate=8000))


def test_augmentation():
    clean = np.full((1, 1, 40, 50), 2, np.float32)
    np.random.seed(3)
    firsts = set()
    for _ in range(200):
        audios = SpectrogramAugment()(dict(audios=clean))['audios']
        assert audios.dtype == np.float32
        rows = np.flatnonzero((audios == 0).all(axis=(0, 1, 3)))
        assert rows.tolist() == list(range(rows[0], rows[0] + 9))
        firsts.add(int(rows[0]))
        rest = np.delete(audios - 2, rows, axis=2)
        assert np.abs(rest).max() <= .05 + 1e-6
        assert abs(rest.mean()) < .01 and rest.std() > .02
    assert firsts == set(range(32))
    assert (clean == 2).all()


def test_augmentation_follows_the_seed_and_can_be_off():
    clean = NOISE[:2000].reshape(1, 1, 40, 50).astype(np.float32)

    def draw(seed):
        np.random.seed(seed)
        return SpectrogramAugment()(dict(audios=clean))['audios']

    np.testing.assert_array_equal(draw(0), draw(0))
    assert (draw(0) != draw(1)).any()
    off = SpectrogramAugment(noise=0, num_rows=0)(dict(audios=clean))
    np.testing.assert_array_equal(off['audios'], clean)
    with pytest.raises(ValueError, match='at most 40'):
        SpectrogramAugment(num_rows=41)(dict(audios=clean))
    with pytest.raises(ValueError, match='0 or more'):
        SpectrogramAugment(noise=-1)
