"""Picture of the mini set: frame, flow and spectrogram of each domain.

python tools/data/show_mini.py data/mini docs/images/mini_set.png --example 3
"""
import argparse
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from scipy import signal

from mbcd_mmaction.datasets import EpicKitchensDataset
from mbcd_mmaction.datasets.mini.recipe import CLASSES, DOMAINS
from mbcd_mmaction.datasets.readers import VideoReader
from mbcd_mmaction.datasets.transforms import LoadAudioClip

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def read_frame(reader: VideoReader, index: int) -> np.ndarray:
    """One frame of a video, (H, W, 3) uint8."""
    return reader.read([index])[index]


def read_sound(source: dict[str, Any]) -> tuple[np.ndarray, int]:
    """A clip's part of a wav: samples in [-1, 1] and their rate."""
    start, stop = source['segment']
    load = LoadAudioClip(duration=stop - start)
    found = load.transform(dict(source))
    return found['audios'].astype(np.float64), found['sample_rate']


def colour_flow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Hue for the direction, saturation for the speed; (H, W, 3) uint8."""
    u, v = u / 127.5 - 1, v / 127.5 - 1
    hue = (np.arctan2(v, u) + np.pi) * 90 / np.pi
    speed = np.clip(2.5 * np.hypot(u, v), 0, 1)
    hsv = np.stack([hue % 180, 255 * speed, np.full_like(u, 255)], -1)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def show(sources: dict[str, dict[str, Any]], axes: np.ndarray) -> None:
    """Draw one clip into three axes."""
    video = VideoReader(sources['video']['filename'])
    flow = [VideoReader(name) for name in sources['flow']['filename']]
    half = flow[0].num_frames // 2
    u, v = (read_frame(reader, half)[..., 0] for reader in flow)
    sound, rate = read_sound(sources['audio'])
    hertz, time, power = signal.spectrogram(sound, rate, nperseg=512,
                                            noverlap=353)
    axes[0].imshow(read_frame(video, 2 * half))
    axes[1].imshow(colour_flow(u, v))
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
    figure, axes = plt.subplots(
        3 * len(DOMAINS), len(CLASSES), figsize=(11, 12.4),
        gridspec_kw=dict(hspace=.06, wspace=.04), squeeze=False)
    for index, domain in enumerate(DOMAINS):
        dataset = EpicKitchensDataset(str(args.root), domain, 'train')
        clips = [dataset.get_data_info(i) for i in range(len(dataset))]
        for label, action in enumerate(CLASSES):
            own = [clip for clip in clips if clip['label'] == label]
            show(own[args.example]['sources'],
                 axes[3 * index:3 * index + 3, label])
            axes[0, label].set_title(action.verb, fontsize=11)
        for axis, kind in zip(axes[3 * index:, 0],
                              ('frame', 'flow', 'sound'), strict=False):
            axis.set_ylabel(f'{domain} {kind}', fontsize=10)
    figure.savefig(args.out, dpi=64, bbox_inches='tight')


if __name__ == '__main__':
    main()
