"""Corruptions: what they do, how strongly, and that they repeat."""
import colorsys
import math

import cv2
import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from mbcd_mmaction.datasets.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    brightness,
    clip_generator,
    defocus_blur,
    disc,
    frame_drop,
    white_noise,
    wind_noise,
)
from mbcd_mmaction.datasets.transforms import CorruptFrames, CorruptSound

FRAMES = [name for name, kind in CORRUPTIONS.items() if kind.of == 'frames']
SOUNDS = [name for name, kind in CORRUPTIONS.items() if kind.of == 'sound']
RATE = 16000


def picture_clip(count=8, size=(48, 64), channels=3, seed=0):
    """Smooth random pictures, (T, H, W, C) uint8, each another."""
    rng = np.random.default_rng(seed)
    return np.stack([
        cv2.resize(rng.integers(20, 180, (6, 8, channels), dtype=np.uint8),
                   size[::-1]) for _ in range(count)
    ])


def tone(seconds=1.5, hertz=440., level=.3):
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def build(corruption, severity, **kwargs):
    kind = ('CorruptFrames' if CORRUPTIONS[corruption].of == 'frames' else
            'CorruptSound')
    return TRANSFORMS.build(dict(type=kind, corruption=corruption,
                                 severity=severity, **kwargs))


def run(corruption, severity, clip_id='clip', frames=None, **kwargs):
    """What a transform makes of a clip."""
    step = build(corruption, severity, **kwargs)
    if CORRUPTIONS[corruption].of == 'frames':
        frames = picture_clip() if frames is None else frames
        return step(dict(imgs=frames, clip_id=clip_id,
                         modality='RGB'))['imgs']
    return step(dict(audios=tone(), sample_rate=RATE,
                     clip_id=clip_id))['audios']


# --- each by hand ---------------------------------------------------------


@pytest.mark.parametrize('radius', [0, .3, 1, 2.5, 10])
def test_disc_by_loops(radius):
    """Each pixel holds the share of it that lies inside."""
    kernel = disc(radius)
    reach = math.ceil(radius)
    assert kernel.shape == (2 * reach + 1, ) * 2
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert np.array_equal(kernel, kernel.T)
    assert np.array_equal(kernel, kernel[::-1])
    if radius < .1:
        return
    inside = 0
    for i in range(64):  # the middle pixel, and one at the edge
        for j in range(64):
            y, x = (i + .5) / 64 - .5, (j + .5) / 64 - .5 + reach
            inside += y * y + x * x <= radius**2
    share = inside / 64**2 / (math.pi * radius**2)
    assert kernel[reach, -1] == pytest.approx(share, abs=.05 / max(
        1, radius**2))
    if radius >= 1:
        assert kernel[reach, reach] == pytest.approx(
            1 / (math.pi * radius**2), rel=.02)


def published_blur(frame, radius, softness):
    """ImageNet-C's recipe (Hendrycks and Dietterich 2019), as published."""
    reach = np.arange(-8, 9) if radius <= 8 else np.arange(
        -radius, radius + 1)
    x, y = np.meshgrid(reach, reach)
    kernel = (x**2 + y**2 <= radius**2).astype(np.float32)
    side = (3, 3) if radius <= 8 else (5, 5)
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), side, sigmaX=softness)
    return cv2.filter2D(frame / 255, -1, kernel) * 255


@pytest.mark.parametrize('severity', SEVERITIES)
def test_blur_is_the_published_one_at_224(severity):
    frame = picture_clip(1, (224, 224))[0]
    frame[::16] = 255  # sharp lines, on which the discs' edges show
    ours = defocus_blur(frame[None], CORRUPTIONS['defocus_blur'].levels[
        severity - 1], None)[0]
    softness = (.1, .5, .5, .5, .5)[severity - 1]
    theirs = published_blur(frame, (3, 4, 6, 8, 10)[severity - 1], softness)
    assert np.abs(ours - theirs).mean() < 1.5
    assert np.abs(ours - frame.astype(float)).mean() > 10


def test_blur_leaves_a_constant_and_scales_with_the_frame():
    grey = np.full((2, 30, 40, 3), 77, np.uint8)
    assert np.array_equal(defocus_blur(grey, 10, None), grey)
    point = np.zeros((1, 113, 200, 3), np.uint8)
    point[0, 56, 100] = 255
    seen = defocus_blur(point, 8, None)[0, ..., 0]
    rows, = np.nonzero(seen.any(1))
    # a radius of 8 of 224 pixels is one of about 4 of 113
    assert np.ptp(rows) + 1 == 9


def test_brightness_of_a_pixel():
    """(100, 50, 25) has the value 100; 51 brighter it is (151, ...)."""
    frames = np.array([[[[100, 50, 25], [0, 0, 0], [240, 120, 60]]]],
                      np.uint8)
    seen = brightness(frames, .2, None)
    assert seen.tolist() == [[[[151, 76, 38], [51, 51, 51],
                               [255, 128, 64]]]]


def test_brightness_through_hsv():
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3),
                                               dtype=np.uint8)
    seen = brightness(frames, .3, None)
    for pixel, ours in zip(frames.reshape(-1, 3), seen.reshape(-1, 3),
                           strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(value + .3, 1))
        assert np.abs(ours - 255 * np.array(wanted)).max() <= .5 + 1e-4


def test_lost_frames_show_the_last_that_arrived():
    frames = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    for severity, lost in zip(SEVERITIES, (1, 2, 4, 5, 7), strict=True):
        level = CORRUPTIONS['frame_drop'].levels[severity - 1]
        shown = frame_drop(frames, level, np.random.default_rng(0)).ravel()
        assert shown[0] == 0
        kept = shown == np.arange(8)
        assert (~kept).sum() == lost
        for t in range(1, 8):
            assert shown[t] == (t if kept[t] else shown[t - 1])


def test_more_lost_frames_are_the_same_and_more():
    frames = np.arange(32).reshape(32, 1, 1, 1)
    before = set()
    for level in CORRUPTIONS['frame_drop'].levels:
        shown = frame_drop(frames, level, np.random.default_rng(3)).ravel()
        lost = set(np.flatnonzero(shown != np.arange(32)).tolist())
        assert lost > before
        before = lost
    assert len(before) == math.ceil(.8 * 32)


def test_single_frame_is_never_lost():
    frame = picture_clip(1)
    for level in (.1, .8, 1):
        assert np.array_equal(
            frame_drop(frame, level, np.random.default_rng(0)), frame)


@pytest.mark.parametrize('add', [white_noise, wind_noise])
@pytest.mark.parametrize('ratio', [10, 0, -10])
def test_signal_to_noise_ratio(add, ratio):
    wave = tone()
    noise = add(wave, ratio, np.random.default_rng(0), RATE) - wave
    found = 10 * np.log10((wave**2).mean() / (noise**2).mean())
    assert found == pytest.approx(ratio, abs=.01)


def band_power(noise, low, high):
    power = np.abs(np.fft.rfft(noise))**2
    hertz = np.fft.rfftfreq(noise.size, 1 / RATE)
    return power[(hertz >= low) & (hertz < high)].mean()


def test_spectra_of_the_noises():
    wave = tone(8)
    white, wind = (add(wave, 0, np.random.default_rng(1), RATE) - wave
                   for add in (white_noise, wind_noise))
    assert band_power(white, 100, 200) == pytest.approx(
        band_power(white, 5000, 7000), rel=.1)
    # one octave up is a quarter of the power; nothing below 20 Hz but what
    # the gusts spread
    falls = band_power(wind, 200, 400) / band_power(wind, 400, 800)
    assert falls == pytest.approx(4, rel=.25)
    assert band_power(wind, 0, 10) < .05 * band_power(wind, 20, 40)
    # gusts: the loudness of quarters of a second varies, in wind alone
    loud = [n.reshape(32, -1).std(1) for n in (white, wind)]
    assert loud[0].std() / loud[0].mean() < .05
    assert loud[1].std() / loud[1].mean() > .3


def test_silence_stays_silent():
    silence = np.zeros(1000, np.float32)
    for name in SOUNDS:
        noisy = build(name, 5)(dict(audios=silence, sample_rate=RATE,
                                    clip_id='a'))['audios']
        assert not noisy.any() and np.isfinite(noisy).all()


# --- all alike ------------------------------------------------------------


@pytest.mark.parametrize('corruption', CORRUPTIONS)
def test_severity_0_is_the_identity_and_none_touches_its_input(corruption):
    frames, wave = picture_clip(), tone()
    for severity in (0, *SEVERITIES):
        seen = run(corruption, severity, frames=frames)
        clean = frames if corruption in FRAMES else wave
        assert np.array_equal(seen, clean) == (severity == 0)
        assert seen.shape == clean.shape and seen.dtype == clean.dtype
    assert np.array_equal(frames, picture_clip())


@pytest.mark.parametrize('corruption', CORRUPTIONS)
def test_distortion_grows_with_severity(corruption):
    clean = (picture_clip() if corruption in FRAMES else tone()).astype(float)
    distortions = [np.abs(run(corruption, s) - clean).mean()
                   for s in SEVERITIES]
    assert all(a < b for a, b in zip(distortions, distortions[1:],
                                     strict=False)), distortions


@pytest.mark.parametrize('corruption', ['frame_drop', *SOUNDS])
def test_a_clip_is_always_corrupted_alike(corruption):
    first = run(corruption, 3)
    np.random.seed(99)  # the global state says nothing
    assert np.array_equal(run(corruption, 3), first)
    assert not np.array_equal(run(corruption, 3, 'another'), first)
    assert not np.array_equal(run(corruption, 3, seed=1), first)


def test_generators_differ_by_all_that_they_are_given():
    drawn = {clip_generator(*key).integers(2**62)
             for key in [('a', 'b', 0), ('a', 'c', 0), ('c', 'b', 0),
                         ('a', 'b', 1), ('ab', '', 0)]}
    assert len(drawn) == 5
    # the same on every machine, in every release
    assert clip_generator('wind_noise', 'D1_P08_01').integers(10**6) == 430215


@pytest.mark.parametrize('corruption', FRAMES)
def test_lists_and_several_clips(corruption):
    """The host's transforms leave lists; num_clips come in one."""
    frames = picture_clip(16)
    step = build(corruption, 4)
    array = step(dict(imgs=frames, clip_id='a', clip_len=8))['imgs']
    listed = step(dict(imgs=list(frames), clip_id='a', clip_len=8))['imgs']
    assert isinstance(listed, list) and len(listed) == 16
    assert np.array_equal(np.stack(listed), array)
    if corruption == 'frame_drop':
        # the first of each clip arrives, and each loses its own
        assert np.array_equal(array[[0, 8]], frames[[0, 8]])
        kept = [[np.array_equal(array[i], frames[i]) for i in part]
                for part in (range(8), range(8, 16))]
        assert [part.count(False) for part in kept] == [5, 5]


def test_flow_loses_frames_and_nothing_else():
    flow = picture_clip(channels=2)
    lost = build('frame_drop', 3)(
        dict(imgs=flow, clip_id='a', modality='Flow'))['imgs']
    assert lost.shape == flow.shape
    assert len(np.unique(lost.reshape(8, -1), axis=0)) == 4
    for name in ('defocus_blur', 'brightness'):
        with pytest.raises(ValueError, match="expected one of .'frame_drop"):
            build(name, 3)(dict(imgs=flow, clip_id='a', modality='Flow'))


def test_what_is_refused():
    for make, wrong in ((CorruptFrames, 'wind_noise'),
                        (CorruptSound, 'brightness'),
                        (CorruptFrames, 'fog')):
        with pytest.raises(ValueError, match='expected one of'):
            make(wrong, 1)
    with pytest.raises(ValueError, match='expected 1 to 5'):
        CorruptSound('wind_noise', 6)
    with pytest.raises(ValueError, match='expected a clip_id'):
        CorruptSound('wind_noise', 1)(dict(audios=tone(), sample_rate=RATE))
    with pytest.raises(ValueError, match=r'expected a wave \(L,\)'):
        CorruptSound('wind_noise', 1)(
            dict(audios=np.zeros((1, 1, 257, 9)), sample_rate=RATE,
                 clip_id='a'))
    assert repr(CorruptFrames('frame_drop', 2)) == (
        "CorruptFrames(corruption='frame_drop', severity=2, seed=0)")
