import av
import cv2
import numpy as np
import pytest
import soundfile
import tiny_media
from tiny_films import FILM

from mbcd_mmaction.datasets import MediaError
from mbcd_mmaction.datasets.readers import VideoReader, open_sound
from mbcd_mmaction.datasets.transforms import LoadAudioClip

RATE = 48000
RNG = np.random.default_rng(0)
TIME = np.arange(8 * RATE) / RATE
# Never the same twice: its place can be told.
WAVE = (.3 * np.sin(2 * np.pi * (200 + 40 * TIME) * TIME)
        + .1 * np.repeat(RNG.normal(size=len(TIME) // 4), 4)).clip(-.9, .9)
# What AAC replaces by noise, and AC-3 by dither, differs from decode to
# decode.
CASES = [
    ('a.m4a', 'aac', dict(aac_pns='0')),
    ('a.mov', 'pcm_s16le', {}),
    ('a24.mov', 'pcm_s24le', {}),
    ('aac.mkv', 'aac', dict(aac_pns='0')),
    ('opus.mkv', 'libopus', {}),
    ('flac.mkv', 'flac', {}),
    ('mp3.mkv', 'libmp3lame', {}),
    ('a.mp3', 'libmp3lame', {}),
    ('a.ogg', 'libopus', {}),
    ('pcm.avi', 'pcm_s16le', {}),
    ('mp3.avi', 'libmp3lame', {}),
    ('a.mpg', 'mp2', {}),
    ('a.ts', 'aac', dict(aac_pns='0')),
    ('a.aac', 'aac', dict(aac_pns='0')),
]


def lag(found, wanted, most=1500):
    """Samples by which ``found`` comes late, by correlation."""
    inner = found[most:len(wanted) - most]
    scores = np.correlate(wanted, inner, 'valid')
    return most - int(np.argmax(scores))


@pytest.mark.parametrize('name, codec, options', CASES,
                         ids=[case[0] for case in CASES])
def test_a_slice_equals_the_same_part_of_the_whole(tmp_path, name, codec,
                                                   options):
    path = str(tmp_path / name)
    tiny_media.write_sound_track(path, WAVE, RATE, codec, **options)
    whole = open_sound(path)
    assert (whole.rate, whole.channels) == (RATE, 1)
    whole = whole.read(0., None)
    # AVI, TS and raw AAC do not say how much of the start is priming.
    if name not in ('mp3.avi', 'a.ts', 'a.aac', 'a.mpg'):
        assert lag(whole[RATE:2 * RATE], WAVE[RATE:2 * RATE]) == 0
    for start, stop in ((0., .5), (.3, .5), (3.21, 4.21), (5.777, 6.9),
                        (7.2, 9.), (7.5, None)):
        sound = open_sound(path)
        part = sound.read(start, stop)
        last = len(whole) if stop is None else round(stop * RATE)
        np.testing.assert_allclose(
            part, whole[round(start * RATE):last], atol=1e-4)
        # Half a second in front, and a few packets of up to .1 s.
        assert sound.samples_decoded < len(part) + RATE * 1.1
    assert open_sound(path).read(20., 21.).size == 0
    assert open_sound(path).read(2., 1.).size == 0
    np.testing.assert_array_equal(
        open_sound(path).read(-1., .25), whole[:RATE // 4])


@pytest.mark.parametrize('channels', [1, 2, 6])
@pytest.mark.parametrize('codec', ['pcm_s16le', 'ac3', 'aac'])
def test_channels_are_averaged(tmp_path, channels, codec):
    path = str(tmp_path / 'a.mov')
    parts = np.stack([WAVE[:RATE] * (1 + n) / channels
                      for n in range(channels)], 1)
    tiny_media.write_sound_track(path, parts.squeeze(), RATE, codec)
    sound = open_sound(path)
    assert sound.channels == channels
    found = sound.read(0., 1.)
    wanted = parts.mean(1)
    gain = found[2000:-2000] @ wanted[2000:-2000] / np.square(
        wanted[2000:-2000]).sum()
    assert abs(gain - 1) < (1e-3 if codec == 'pcm_s16le' else .25)


def clap(offset=0.):
    """Frames and sound that flash and clap at .8 s of the film."""
    frames = [np.zeros((48, 64, 3), np.uint8) for _ in range(60)]
    frames[24][:] = 255
    wave = np.zeros(2 * RATE)
    first = round((.8 - offset) * RATE)
    wave[first:first + 480] = np.sin(np.arange(480) * .3)
    return frames, wave


@pytest.mark.parametrize('name, codec', [
    ('a.mp4', 'aac'), ('a.mkv', 'aac'), ('a.mov', 'pcm_s16le'),
    ('a.mkv', 'libopus'), ('a.mkv', 'flac')])
@pytest.mark.parametrize('offset', [0., .25])
@pytest.mark.parametrize('start', [0., .4, .75])
def test_sound_and_picture_stay_together(tmp_path, name, codec, offset,
                                         start):
    path = str(tmp_path / name)
    frames, wave = clap(offset)
    tiny_media.write_sound_track(path, wave, RATE, codec, frames, offset)
    reader = VideoReader(path, (start, 1.2))
    light = [reader.read([n])[n].mean() for n in range(reader.num_frames)]
    flash = start + reader.times[int(np.argmax(light))]
    assert flash == pytest.approx(.8, abs=.002)
    sound = open_sound(path).read(start, 1.2)
    loud = np.flatnonzero(np.abs(sound) > .5)
    # These round the beginning of a track to a millisecond.
    slack = 48 if name.endswith('mkv') or offset and codec == 'aac' else 2
    assert abs(start + loud[0] / RATE - .8) <= (5 + slack) / RATE


def test_video_that_begins_late(tmp_path):
    """Time 0 is the first frame shown, not the first sample."""
    path = str(tmp_path / 'a.mkv')
    with av.open(path, 'w') as out:
        picture = out.add_stream('libx264', rate=30)
        picture.height, picture.width, picture.pix_fmt = 48, 64, 'yuv420p'
        track = out.add_stream('pcm_s16le', rate=RATE, layout='mono')
        for n, image in enumerate(FILM[:30]):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts = n + 15  # half a second
            out.mux(picture.encode(frame))
        out.mux(picture.encode())
        samples = (np.arange(2 * RATE) / 4).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], 's16', 'mono')
        frame.rate, frame.pts = RATE, 0
        out.mux(track.encode(frame))
        out.mux(track.encode())
    assert VideoReader(path).times[0] == 0
    found = open_sound(path).read(.25, .5)
    wanted = samples[3 * RATE // 4:RATE] / 32768
    np.testing.assert_allclose(found, wanted, atol=49 / 4 / 32768)


def test_no_sound_and_no_media(tmp_path):
    path = tmp_path / 'a.mp4'
    tiny_media.write_video(path, FILM[:5])
    with pytest.raises(MediaError, match='it holds no sound'):
        open_sound(str(path))
    with pytest.raises(FileNotFoundError):
        open_sound(str(tmp_path / 'none.mp4'))
    path.write_bytes(b'')
    with pytest.raises(av.error.FFmpegError):
        open_sound(str(path))


@pytest.mark.parametrize('offset, stop', [(0., 7.9), (3., 7.)])
def test_a_track_that_is_cut_off(tmp_path, offset, stop):
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w', options=dict(movflags='faststart')) as out:
        track = out.add_stream('aac', rate=RATE, layout='mono')
        for first in range(0, len(WAVE), 960):
            frame = av.AudioFrame.from_ndarray(
                WAVE[None, first:first + 960].astype(np.float32), 'fltp',
                'mono')
            frame.rate, frame.pts = RATE, first
            out.mux(track.encode(frame))
        out.mux(track.encode())
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    assert len(open_sound(str(path)).read(0., 3.)) == 3 * RATE
    with pytest.raises((MediaError, av.error.FFmpegError)):
        open_sound(str(path)).read(offset, stop)


@pytest.mark.parametrize('name', ['a b.wav', 'é.wav', 'caf\udce9.wav',
                                  '12:30.wav', 'caf\udce9.m4a', '1:2.m4a'])
def test_names_of_all_kinds(tmp_path, monkeypatch, name):
    plain = tmp_path / f'a.{name[-3:]}'
    if name.endswith('wav'):
        soundfile.write(str(plain), WAVE[:RATE], RATE)
    else:
        tiny_media.write_sound_track(plain, WAVE[:RATE], RATE)
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(open_sound(name).read(0., .5)) == RATE // 2


def test_the_track_of_a_video_in_a_pipeline(tmp_path):
    path = str(tmp_path / 'a.mp4')
    small = [cv2.resize(frame, (32, 24)) for frame in FILM]
    tiny_media.write_sound_track(path, WAVE, RATE, video=small, aac_pns='0')
    step = LoadAudioClip(duration=1., window='frames')
    record = dict(filename=path, segment=(.5, 2.),
                  shared=dict(window=np.array([[1., .5]])))
    results = step(record)
    assert results['audios'].shape == (16000, )
    np.testing.assert_array_equal(results['audios'][:8000],
                                  results['audios'][8000:])
    wanted = WAVE[RATE:3 * RATE // 2].reshape(-1, 3).mean(1)
    assert lag(results['audios'][:8000], wanted, 200) == 0


def test_of_a_long_wav_only_the_slice_is_read(tmp_path):
    path = str(tmp_path / 'long.wav')
    soundfile.write(path, np.tile(WAVE, 10), RATE, subtype='PCM_16')
    sound = open_sound(path)
    np.testing.assert_allclose(sound.read(41., 42.), WAVE[RATE:2 * RATE],
                               atol=1e-4)
    assert sound.samples_decoded == RATE
