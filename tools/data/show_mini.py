"""Picture of the mini set: frame, flow and spectrogram of each domain.

python tools/data/show_mini.py data/mini docs/images/mini_set.png
"""
import argparse
import csv
import wave
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from scipy import signal

from mbcd_mmaction.datasets.mini.recipe import CLASSES, DOMAINS
from mbcd_mmaction.datasets.mini.write import SPLITS_DIR

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def read_frames(path: Path) -> np.ndarray:
    """Decode a video: (T, H, W, 3) uint8 RGB."""
    video, frames = cv2.VideoCapture(str(path)), []
    while True:
        found, frame = video.read()
        if not found:
            return np.stack(frames)
        frames.append(frame[..., ::-1])


def read_sound(path: Path, start: float, stop: float) -> tuple:
    """Read a part of a wav: samples in [-1, 1] and their rate."""
    with wave.open(str(path), 'rb') as file:
        rate = file.getframerate()
        file.setpos(round(start * rate))
        data = file.readframes(round((stop - start) * rate))
    return np.frombuffer(data, '<i2') / 32768, rate


def seconds(timestamp: str) -> float:
    """'HH:MM:SS.ss' in seconds."""
    hours, minutes, rest = timestamp.split(':')
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def colour_flow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Hue for the direction, saturation for the speed; (H, W, 3) uint8."""
    u, v = u / 127.5 - 1, v / 127.5 - 1
    hue = (np.arctan2(v, u) + np.pi) * 90 / np.pi
    speed = np.clip(2.5 * np.hypot(u, v), 0, 1)
    hsv = np.stack([hue % 180, 255 * speed, np.full_like(u, 255)], -1)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of an annotation file."""
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def show(splits: Path, domain: str, row: dict[str, str],
         axes: np.ndarray) -> None:
    """Draw one clip into three axes."""
    start, stop = int(row['start_frame']), int(row['stop_frame'])
    stem, label = f'{domain}_{row["video_id"]}', row['verb_class']
    first = -(-start // 2)
    flow = f'{stem}_{first}_{first + (stop - start) // 2}_{label}'
    video = read_frames(splits / 'video/train' / domain /
                        f'{stem}_{start}_{stop}_{label}.mp4')
    u, v = (read_frames(splits / 'flow/train' / domain /
                        f'{flow}_{part}.mp4')[..., 0] for part in 'uv')
    half = len(u) // 2
    sound, rate = read_sound(
        splits / 'audio/train' / domain / f'{row["video_id"]}.wav',
        seconds(row['start_timestamp']), seconds(row['stop_timestamp']))
    hertz, time, power = signal.spectrogram(sound, rate, nperseg=512,
                                            noverlap=353)
    axes[0].imshow(video[2 * half])
    axes[1].imshow(colour_flow(u[half], v[half]))
    axes[2].pcolormesh(time, hertz / 1000, np.log(power + 1e-11),
                       cmap=plt.get_cmap('magma', 10), rasterized=True)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--example', type=int, default=0,
                        help='which clip of each class to show')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    splits = args.root / SPLITS_DIR
    figure, axes = plt.subplots(
        3 * len(DOMAINS), len(CLASSES), figsize=(11, 12.4),
        gridspec_kw=dict(hspace=.06, wspace=.04), squeeze=False)
    for index, domain in enumerate(DOMAINS):
        rows = read_rows(splits / f'{domain}_train.csv')
        for label, action in enumerate(CLASSES):
            own = [row for row in rows if row['verb'] == action.verb]
            show(splits, domain, own[args.example],
                 axes[3 * index:3 * index + 3, label])
            axes[0, label].set_title(action.verb, fontsize=11)
        for axis, kind in zip(axes[3 * index:, 0],
                              ('frame', 'flow', 'sound'), strict=False):
            axis.set_ylabel(f'{domain} {kind}', fontsize=10)
    figure.savefig(args.out, dpi=64, bbox_inches='tight')


if __name__ == '__main__':
    main()
