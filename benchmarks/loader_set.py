"""Sets like the real ones in size and coding, for measuring the loader.

Nothing in them can be learnt: textures that drift, with a camera's noise, the
optical flow of those very frames (DIS, as tools/data/extract_flow.py has it),
and noise as sound. Sizes, rates, codec, key frames and layout are those of
EPIC-Kitchens and HAC (docs/data_preparation.md).
"""
import csv
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

from mbcd_mmaction.datasets.extraction.flow import flow_method, quantise
from mbcd_mmaction.datasets.extraction.reencode import reencode_set

ANNOTATIONS = 'MM-SADA_Domain_Adaptation_Splits'
COLUMNS = ('video_id', 'start_timestamp', 'stop_timestamp', 'start_frame',
           'stop_frame', 'verb_class')
HEIGHT, WIDTH = 256, 456
WAV_SECONDS = 20 * 60
RECORDING = 'P08_01'


SETS = ('epic', 'epic-gop16', 'epic-jpg', 'hac')


def make_sets(root: Path, clips: int = 6, seconds: float = 10,
              names: Sequence[str] = SETS) -> None:
    """Write the sets that are not there yet.

    Args:
        root (Path): Gets ``epic`` (60 fps h264 clips of 3 to 10 s, flow of
            half the rate, a wav of 20 minutes), ``epic-gop16`` (the same by
            tools/data/reencode.py), ``epic-jpg`` (the same as jpg frames)
            and ``hac`` (24 fps clips of 2 to 10 s, each with its own sound).
        clips (int): Clips of each set. Defaults to 6.
        seconds (float): Length of the longest clip. Defaults to 10.
        names (Sequence[str]): Some of these sets; ``epic-gop16`` is made of
            ``epic``. Defaults to all.
    """
    makers = dict(
        epic=lambda path: _epic_clips(path, np.linspace(.3, 1, clips)
                                      * seconds),
        hac=lambda path: _hac(path, np.linspace(.2, 1, clips) * seconds))
    makers['epic-jpg'] = lambda path: _epic_frames(
        path, np.linspace(.3, 1, clips) * seconds)
    for name, maker in makers.items():
        if name in names and not (root / name / 'made').exists():
            maker(root / name)
            (root / name / 'made').touch()
    if 'epic-gop16' not in names:
        return
    report = reencode_set(str(root / 'epic'), str(root / 'epic-gop16'),
                          workers=1, progress=False)
    if report.failures:
        raise ValueError(f'not re-encoded: {report.failures}')


def _video(path: Path, frames, rate: int) -> None:
    """Encode as the usual tools do, x264's defaults at crf 23."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('libx264', rate=Fraction(rate),
                                 options=dict(crf='23'))
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            kind = 'rgb24' if frame.ndim == 3 else 'gray'
            file.mux(stream.encode(av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format=kind)))
        file.mux(stream.encode(None))


def _drift(count: int, seed: int):
    """(H, W, 3) frames of a texture that moves, with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (20, 30, 3)).astype(np.float32)
    ground = cv2.resize(coarse, (2 * WIDTH, 2 * HEIGHT),
                        interpolation=cv2.INTER_CUBIC)
    ground = ground + rng.normal(0, 30, (*ground.shape[:2], 1))
    phase = rng.uniform(0, 6)
    for number in range(count):
        x = int(WIDTH / 2 * (1 + np.sin(phase + number / 90)))
        y = int(HEIGHT / 2 * (1 + np.cos(phase + number / 70)))
        frame = ground[y:y + HEIGHT, x:x + WIDTH]
        noisy = frame + rng.normal(0, 8, frame.shape)
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _flow(frames, step: int) -> np.ndarray:
    """(2, T, H, W) uint8, the flow from each ``step``-th frame on."""
    compute, before, fields = flow_method('dis'), None, []
    for frame in islice(frames, 0, None, step):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            fields.append(quantise(compute(before, grey)))
        before = grey
    return np.stack(fields).transpose(3, 0, 1, 2)


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


def _epic_clips(root: Path, lengths: np.ndarray) -> None:
    media = root / ANNOTATIONS
    for seed, row in enumerate(_epic_annotations(root, lengths)):
        start, stop, label = (row['start_frame'], row['stop_frame'],
                              row['verb_class'])
        _video(media / f'video/train/D1/D1_{RECORDING}_{start}_{stop}_{label}'
               '.mp4', _drift(stop - start, seed), 60)
        first, count = _flow_range(row)
        fields = _flow(_drift(2 * count + 1, seed), 2)
        for axis, field in zip('uv', fields, strict=True):
            _video(media / f'flow/train/D1/D1_{RECORDING}_{first}_'
                   f'{first + count}_{label}_{axis}.mp4', field, 30)
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
        total = row['stop_frame'] - row['start_frame']
        fields = _flow(_drift(2 * count + 1, seed), 2)
        for part, start, frames in (
                ('rgb', row['start_frame'], _drift(total, seed)),
                ('flow/u', first, fields[0]), ('flow/v', first, fields[1])):
            for number, frame in enumerate(frames):
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
        _video(root / 'human/videos' / name, _drift(count, seed), 24)
        fields = _flow(_drift(count, seed), 1)
        for axis, field in zip('xy', fields, strict=True):
            _video(root / f'human/flow/{stem}_flow_{axis}.mp4', field, 24)
        _wav(root / f'human/audio/{stem}.wav', seconds, seed)
