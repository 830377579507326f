"""Sound of the mini set: events of the actions, room and microphone."""
import numpy as np
from scipy import signal

from .plan import RecordingPlan
from .recipe import (
    ACTIONS,
    CLASSES,
    DOMAINS,
    OFF_MIC,
    SAMPLE_RATE,
    VISITOR,
    Microphone,
)

_Rng = np.random.Generator


def _time(seconds: float) -> np.ndarray:
    return np.arange(max(int(seconds * SAMPLE_RATE), 64)) / SAMPLE_RATE


def _band_noise(num: int, low: float, high: float, rng: _Rng) -> np.ndarray:
    high = min(high, .49 * SAMPLE_RATE)
    filt = signal.butter(2, (low, high), 'bandpass', fs=SAMPLE_RATE,
                         output='sos')
    noise = signal.sosfilt(filt, rng.normal(0, 1, num))
    return noise / (noise.std() + 1e-9)


def _ring(seconds: float, pitches: tuple[float, ...], fall: float,
          rng: _Rng) -> np.ndarray:
    """A struck thing: partials that die away within ``fall`` seconds."""
    time = _time(seconds)
    tone = sum(
        np.sin(2 * np.pi * (hertz * time + rng.random())) for hertz in pitches)
    return tone * np.exp(-time / fall)


def _place(track: np.ndarray, piece: np.ndarray, second: float) -> None:
    start = int(second * SAMPLE_RATE)
    piece = piece[:max(len(track) - start, 0)]
    track[start:start + len(piece)] += piece


def _swept(length: float, pitch: float, rng: _Rng, breath: float,
           low: tuple[float, float], rise: tuple[float, float]) -> np.ndarray:
    """A rising tone with overtones and breath, once in the clip."""
    seconds = rng.uniform(.35, .7) * length
    time, start = _time(seconds), rng.uniform(*low) * pitch
    hertz = start * rng.uniform(*rise)**(time / seconds)
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    tone = np.sin(phase) + .6 * np.sin(2 * phase) + .4 * np.sin(3 * phase)
    noise = _band_noise(len(time), 1.5 * start, 6 * start, rng)
    shape = np.sin(np.pi * time / seconds)
    track = np.zeros(len(_time(length)))
    _place(track, ((1 - breath) * tone + breath * noise) * shape,
           rng.uniform(0, length - seconds))
    return track


def _swish(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    return _swept(length, pitch, rng, rng.uniform(.35, .9), (350, 650),
                  (1.4, 2.6))


def _creak(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    return _swept(length, pitch, rng, rng.uniform(.1, .65), (250, 550),
                  (1.2, 2.))


def _bumps(length: float, pitch: float, rng: _Rng, hertz: tuple[float, float],
           click: tuple[float, float]) -> np.ndarray:
    """One or two bumps: a low body with a click on top."""
    track = np.zeros(len(_time(length)))
    for _ in range(int(rng.integers(1, 3))):
        body = rng.uniform(*hertz) * pitch
        bump = _ring(.3, (body, 1.6 * body), rng.uniform(.03, .07), rng)
        snap = _band_noise(800, 1500, 6000, rng) * np.exp(
            -np.arange(800) / 120)
        bump[:800] += rng.uniform(*click) * snap
        _place(track, bump, rng.uniform(.05, .8) * length)
    return track


def _thud(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    return _bumps(length, pitch, rng, (120, 380), (.05, .6))


def _knock(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    return _bumps(length, pitch, rng, (200, 520), (.2, 1.))


def _water(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    time = _time(length)
    low = rng.uniform(500, 1200) * pitch
    noise = _band_noise(len(time), low, rng.uniform(2.5, 5) * low, rng)
    rate = rng.uniform(2.5, 5.)
    depth = rng.uniform(.15, .9)
    swell = 1 + depth * np.sin(2 * np.pi * (rate * time + rng.random()))
    return .5 * noise * swell


def _filling(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    time = _time(length)
    low = rng.uniform(500, 1000) * pitch
    noise = _band_noise(len(time), low, rng.uniform(3, 5) * low, rng)
    hertz = rng.uniform(500, 900) * pitch * rng.uniform(1.3, 2.2)**(
        time / length)
    gurgle = np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)
    return .4 * noise + rng.uniform(.05, .5) * gurgle


def _train(length: float, rate: float, piece, rng: _Rng) -> np.ndarray:
    """Pieces at a regular pace with some play."""
    track, second = np.zeros(len(_time(length))), rng.uniform(0, 1 / rate)
    while second < length:
        _place(track, rng.uniform(.6, 1) * piece(), second)
        second += (1 + rng.normal(0, .06)) / rate
    return track


def _chops(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    low, fall = rng.uniform(600, 1300) * pitch, rng.uniform(60, 250)
    tone = rng.uniform(500, 1400) * pitch
    bright = rng.uniform(0, .8)

    def piece() -> np.ndarray:
        hit = _band_noise(1600, low, 4 * low, rng) * np.exp(
            -np.arange(1600) / fall)
        return hit + bright * _ring(.1, (tone, 2.7 * tone), .02, rng)

    return _train(length, rng.uniform(3.5, 6.5), piece, rng)


def _taps(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    tone, fall = rng.uniform(900, 1900) * pitch, rng.uniform(.015, .06)
    dull = rng.uniform(0, .9)

    def piece() -> np.ndarray:
        hit = _ring(.25, (tone, 2.7 * tone), fall, rng)
        hit[:800] += dull * _band_noise(800, 900, 4000, rng) * np.exp(
            -np.arange(800) / 100)
        return hit

    return _train(length, rng.uniform(2.5, 5.), piece, rng)


def _rattle(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    def piece() -> np.ndarray:
        return _band_noise(400, 2500, 7000, rng) * np.exp(
            -np.arange(400) / 80)

    return _train(length, rng.uniform(14, 22), piece, rng)


def _whirr(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    time, hertz = _time(length), rng.uniform(90, 160) * pitch
    return sum(np.sin(2 * np.pi * (k * hertz * time + rng.random())) / k**.5
               for k in range(1, 16))


def _boing(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    top, time = rng.uniform(500, 900) * pitch, _time(.22)

    def piece() -> np.ndarray:
        hertz = top * .3**(time / time[-1])
        return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE) * np.exp(
            -time / .1)

    return _train(length, rng.uniform(2.5, 4), piece, rng)


def _beeps(length: float, pitch: float, rng: _Rng) -> np.ndarray:
    tone, time = rng.uniform(1800, 2600) * pitch, _time(.09)
    return _train(length, rng.uniform(4, 6),
                  lambda: np.sin(2 * np.pi * tone * time), rng)


_EVENTS = dict(swish=_swish, thud=_thud, creak=_creak, knock=_knock,
               water=_water, chops=_chops, taps=_taps, filling=_filling,
               # of unknown actions
               rattle=_rattle, whirr=_whirr, boing=_boing, beeps=_beeps)


def _coloured(num: int, slope: float, rng: _Rng) -> np.ndarray:
    """Noise of unit deviation whose power falls as 1 / f ** slope."""
    size = 1 << (num - 1).bit_length()
    spectrum = np.fft.rfft(rng.normal(0, 1, size))
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(hertz, 40)**(-slope / 2)
    noise = np.fft.irfft(spectrum)[:num]
    return noise / noise.std()


def _in_room(sound: np.ndarray, mic: Microphone, rng: _Rng) -> np.ndarray:
    """Add echo and noise, then limit the band and set the level."""
    tail = _time(1.2 * mic.reverb_seconds)
    echo = rng.normal(0, 1, len(tail)) * 10**(-3 * tail / mic.reverb_seconds)
    echo *= mic.reverb_mix / np.sqrt((echo**2).sum())
    sound = sound + signal.fftconvolve(sound, echo)[:len(sound)]
    time = np.arange(len(sound)) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 3, 7, 9))
    noise = _coloured(len(sound), mic.noise_slope, rng)
    noise = noise + 10**(mic.hum_db / 20) * hum
    sound = sound + 10**(-mic.snr_db / 20) * noise
    filt = signal.butter(4, mic.band, 'bandpass', fs=SAMPLE_RATE,
                         output='sos')
    return 10**(mic.gain_db / 20) * .12 * signal.sosfilt(filt, sound)


def _event(label: int, length: float, level: float, mic: Microphone,
           rng: _Rng) -> np.ndarray:
    """The sound of an action at a level in decibels."""
    track = _EVENTS[ACTIONS[label].sound](length, mic.pitch, rng)
    return 10**(level / 20) * track / np.sqrt((track**2).mean() + 1e-9)


def render_recording(plan: RecordingPlan) -> np.ndarray:
    """Render the sound of a whole recording.

    Args:
        plan (RecordingPlan): Recording.

    Returns:
        np.ndarray: (samples,) int16 at 16 kHz; it covers the last frame.
    """
    mic, rate = DOMAINS[plan.domain].microphone, plan.frame_rate
    num = -(-plan.num_frames * SAMPLE_RATE // rate)
    sound = np.zeros(num)
    for position, clip in enumerate(plan.clips):
        rng, length = plan.generator(3, position), clip.num_frames / rate
        level = rng.normal(0, 3)
        if rng.random() < OFF_MIC:
            level -= rng.uniform(14, 24)
        tracks = [_event(clip.label, length, level, mic, rng)]
        if rng.random() < VISITOR:
            other = int(rng.integers(len(CLASSES)))
            tracks.append(
                _event(other, length, rng.uniform(-12, -4), mic, rng))
        for track in tracks:
            _place(sound, track, clip.start_frame / rate)
    sound = _in_room(sound, mic, plan.generator(4))
    return np.rint(32767 * np.clip(sound, -1, 1)).astype(np.int16)
