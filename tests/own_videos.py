"""Small videos with sound, as a person may have them."""
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

AUDIO_RATE = 44100


def texture(seed=0, size=300):
    """A smooth (size, size) uint8 picture in which motion can be seen."""
    noise = np.random.default_rng(seed).integers(0, 255, (size, size),
                                                 dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def moving(count, dx=0, dy=0, size=(64, 64), seed=0):
    """Grey frames in which all moves by (dx, dy) whole pixels a frame."""
    picture = texture(seed)
    middle = [(full - part) // 2
              for full, part in zip(picture.shape, size, strict=True)]
    return [
        np.ascontiguousarray(
            picture[middle[0] - dy * i:, middle[1] - dx * i:][:size[0],
                                                              :size[1]])
        for i in range(-(count // 2), count - count // 2)
    ]


def tone(seconds, pitch=440, level=.5, channels=2):
    """(channels, N) float32."""
    time = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    wave = level * np.sin(2 * np.pi * pitch * time)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write_movie(path, frames, sound=None, rate=25, times=None, delay=0.0,
                audio_codec='aac', faststart=False, turn=None):
    """Encode frames, and sound where given, into any container.

    Args:
        path: The file; its suffix names the container.
        frames: (H, W) grey or (H, W, 3) uint8; None for sound alone.
        sound: (channels, N) float32 at 44.1 kHz.
        rate: Frames a second.
        times: Seconds of each frame, for a variable rate.
        delay: Seconds by which the sound begins later.
        audio_codec: Of the sound.
        turn: Degrees by which a player turns the frames.
        faststart: Whether an mp4 begins with its table of contents.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = dict(movflags='faststart') if faststart else {}
    with av.open(str(path), 'w', options=options) as file:
        video = audio = None
        if frames is not None:
            video = file.add_stream('libx264', rate=rate,
                                    options=dict(crf='15'))
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = 'yuv420p'
            video.codec_context.thread_count = 1
            if turn is not None:
                video.set_display_rotation(turn)
            if times is not None:
                video.codec_context.time_base = Fraction(1, 90000)
        if sound is not None:
            layout = 'stereo' if len(sound) == 2 else 'mono'
            audio = file.add_stream(audio_codec, rate=AUDIO_RATE,
                                    layout=layout)
            _write_sound(file, audio, sound, layout, delay)
        for number, frame in enumerate(frames or []):
            kind = 'gray' if frame.ndim == 2 else 'rgb24'
            image = av.VideoFrame.from_ndarray(frame, format=kind)
            if times is not None:
                image.pts = round(times[number] * 90000)
                image.time_base = Fraction(1, 90000)
            file.mux(video.encode(image))
        if video is not None:
            file.mux(video.encode())


def _write_sound(file, stream, sound, layout, delay):
    for first in range(0, sound.shape[1], 1024):
        piece = np.ascontiguousarray(sound[:, first:first + 1024])
        frame = av.AudioFrame.from_ndarray(piece, 'fltp', layout)
        frame.sample_rate = AUDIO_RATE
        frame.time_base = Fraction(1, AUDIO_RATE)
        frame.pts = first + round(delay * AUDIO_RATE)
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
