"""Sets like the real ones in size and coding, for measuring the loader.

Nothing in them can be learnt: textures that drift, with a camera's noise,
smooth fields as flow, and noise as sound. Sizes, rates, codec, key frames and
layout are those of EPIC-Kitchens and HAC (docs/data_preparation.md).
"""
import csv
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

ANNOTATIONS = 'MM-SADA_Domain_Adaptation_Splits'
COLUMNS = ('video_id', 'start_timestamp', 'stop_timestamp', 'start_frame',
           'stop_frame', 'verb_class')
HEIGHT, WIDTH = 256, 456
WAV_SECONDS = 20 * 60
RECORDING = 'P08_01'


def make_sets(root: Path, clips: int = 6) -> None:
    """Write the four sets that are not there yet.

    Args:
        root (Path): Gets ``epic`` (60 fps h264 clips of 3 to 10 s, flow of
            half the rate, a wav of 20 minutes), ``epic-gop16`` (a key frame
            every 16 frames, no B frames), ``epic-jpg`` (the same as jpg
            frames) and ``hac`` (24 fps clips of 2 to 10 s, each with its own
            sound).
        clips (int): Clips of each set. Defaults to 6.
    """
    lengths = np.linspace(3, 10, clips)
    for name, options in (('epic', {}), ('epic-gop16', GOP16)):
        if not (root / name / 'ready').exists():
            _epic_clips(root / name, lengths, options)
            (root / name / 'ready').touch()
    if not (root / 'epic-jpg/ready').exists():
        _epic_frames(root / 'epic-jpg', lengths)
        (root / 'epic-jpg/ready').touch()
    if not (root / 'hac/ready').exists():
        _hac(root / 'hac', np.linspace(2, 10, clips))
        (root / 'hac/ready').touch()


GOP16 = dict(g='16', bf='0')


def _video(path: Path, frames, rate: int, options: dict) -> None:
    """Encode as the usual tools do, x264's defaults at crf 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('libx264', rate=Fraction(rate),
                                 options=dict(crf='23', **options))
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            kind = 'rgb24' if frame.ndim == 3 else 'gray'
            file.mux(stream.encode(av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format=kind)))
        file.mux(stream.encode(None))


def _drift(count: int, channels: int, seed: int):
    """(H, W, 3) frames of a texture that moves, or (H, W) smooth ones."""
    detail, noise = (30, 8) if channels == 3 else (0, 1)
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (20, 30, channels)).astype(np.float32)
    ground = cv2.resize(coarse, (2 * WIDTH, 2 * HEIGHT),
                        interpolation=cv2.INTER_CUBIC)
    ground = ground.reshape(2 * HEIGHT, 2 * WIDTH, channels)
    ground = ground + rng.normal(0, detail, (*ground.shape[:2], 1))
    phase = rng.uniform(0, 6)
    for number in range(count):
        x = int(WIDTH / 2 * (1 + np.sin(phase + number / 90)))
        y = int(HEIGHT / 2 * (1 + np.cos(phase + number / 70)))
        frame = ground[y:y + HEIGHT, x:x + WIDTH]
        noisy = frame + rng.normal(0, noise, frame.shape)
        yield np.clip(noisy, 0, 255).astype(np.uint8).squeeze()


def _epic_rows(lengths: np.ndarray) -> list[dict]:
    """Clips of one recording, evenly over its 20 minutes."""
    rows = []
    for number, seconds in enumerate(lengths):
        start = round(60 * WAV_SECONDS * (number + .5) / len(lengths))
        stop = start + round(60 * seconds)
        rows.append(dict(
            video_id=RECORDING, start_timestamp=start / 60,
            stop_timestamp=stop / 60, start_frame=start, stop_frame=stop,
            verb_class=number % 8))
    return rows


def _epic_annotations(root: Path, lengths: np.ndarray) -> list[dict]:
    """The annotation file; returns its rows."""
    rows = _epic_rows(lengths)
    path = root / ANNOTATIONS / 'D1_train.csv'
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def _wav(path: Path, seconds: float, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-.5, .5, round(16000 *
                                                               seconds))
    soundfile.write(path, noise, 16000, subtype='PCM_16')


def _flow_range(row: dict) -> tuple[int, int]:
    """First flow frame and their number, at half the rate."""
    count = (row['stop_frame'] - row['start_frame']) // 2
    return -(-row['start_frame'] // 2), count


def _epic_clips(root: Path, lengths: np.ndarray, options: dict) -> None:
    media = root / ANNOTATIONS
    for seed, row in enumerate(_epic_annotations(root, lengths)):
        start, stop, label = (row['start_frame'], row['stop_frame'],
                              row['verb_class'])
        _video(media / f'video/train/D1/D1_{RECORDING}_{start}_{stop}_{label}'
               '.mp4', _drift(stop - start, 3, seed), 60, options)
        first, count = _flow_range(row)
        for part, axis in enumerate('uv'):
            _video(media / f'flow/train/D1/D1_{RECORDING}_{first}_'
                   f'{first + count}_{label}_{axis}.mp4',
                   _drift(count, 1, 100 + 2 * seed + part), 30, options)
    _wav(media / f'audio/train/D1/{RECORDING}.wav', WAV_SECONDS, 7)


def _epic_frames(root: Path, lengths: np.ndarray) -> None:
    folders = {part: root / f'{part.split("/")[0]}/train/D1/{RECORDING}'
               for part in ('rgb', 'flow/u', 'flow/v')}
    folders['flow/u'] /= 'u'
    folders['flow/v'] /= 'v'
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(_epic_annotations(root, lengths)):
        first, count = _flow_range(row)
        jobs = [('rgb', 3, row['start_frame'],
                 row['stop_frame'] - row['start_frame'], seed),
                ('flow/u', 1, first, count, 100 + 2 * seed),
                ('flow/v', 1, first, count, 101 + 2 * seed)]
        for part, channels, start, total, texture in jobs:
            for number, frame in enumerate(_drift(total, channels, texture)):
                cv2.imwrite(str(folders[part] /
                                f'frame_{start + number:010d}.jpg'), frame,
                            [cv2.IMWRITE_JPEG_QUALITY, 95])
    _wav(root / f'rgb/train/D1/{RECORDING}.wav', WAV_SECONDS, 7)


def _hac(root: Path, lengths: np.ndarray) -> None:
    rows = [(f'clip{n}.mp4', n % 7) for n in range(len(lengths))]
    splits = root / 'HAC_Splits'
    splits.mkdir(parents=True, exist_ok=True)
    for split in ('train', 'test'):
        with open(splits / f'HAC_{split}_only_human.csv', 'w') as file:
            csv.writer(file).writerows(rows)
    for seed, ((name, _), seconds) in enumerate(zip(rows, lengths,
                                                    strict=True)):
        stem, count = Path(name).stem, round(24 * seconds)
        _video(root / 'human/videos' / name, _drift(count, 3, seed), 24, {})
        for part, axis in enumerate('xy'):
            _video(root / f'human/flow/{stem}_flow_{axis}.mp4',
                   _drift(count - 1, 1, 100 + 2 * seed + part), 24, {})
        _wav(root / f'human/audio/{stem}.wav', seconds, seed)
