"""Picture of a clip under each corruption that fits, at each severity.

python tools/data/show_corruptions.py configs/mbcd/mini_d1.py \
docs/images/corruptions.png --clip 7
"""
import argparse
from pathlib import Path

import matplotlib
import numpy as np
from mmaction.registry import DATASETS
from mmengine.config import Config, DictAction

from mbcd_mmaction.apis.figures.corrupted import corrupt, fitting_corruptions
from mbcd_mmaction.apis.figures.trained import read_config
from mbcd_mmaction.datasets.corruptions import CORRUPTIONS, SEVERITIES

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

COLUMNS = 4  # of frames, where all of a clip's are shown


def read(cfg: Config, clip: int, modality: str) -> np.ndarray:
    """One input of a test clip, first view: (C, T, H, W) or (1, F, T)."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    return dataset[clip]['inputs'][modality][0].numpy()


def picture(array: np.ndarray, moves: bool) -> np.ndarray:
    """What is shown of an input: a frame, what changes from each frame to
    the next, or a spectrogram."""
    if array.ndim == 3:
        return array[0, ::-1]
    frames = array.transpose(1, 2, 3, 0)
    if not moves:
        return frames[len(frames) // 2]
    changes = np.abs(np.diff(frames.astype(int), axis=0, prepend=0))
    changes[0] = 0
    frames = np.clip(3 * changes, 0, 255).astype(np.uint8)
    frames = frames[:len(frames) // COLUMNS * COLUMNS]
    rows = frames.reshape(-1, COLUMNS, *frames.shape[1:])
    return np.concatenate([np.concatenate(list(row), 1) for row in rows])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('out', type=Path)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='as in tools/test.py')
    parser.add_argument('--clip', type=int, default=0,
                        help='number of the test clip')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    pairs = fitting_corruptions(cfg)
    severities = (0, *SEVERITIES)
    figure, axes = plt.subplots(
        len(pairs), len(severities), figsize=(11, 1.75 * len(pairs)),
        layout='constrained', squeeze=False)
    for row, (modality, corruption) in zip(axes, pairs, strict=True):
        for axis, severity in zip(row, severities, strict=True):
            array = read(corrupt(cfg, modality, corruption, severity),
                         args.clip, modality)
            axis.imshow(picture(array, corruption == 'frame_drop'),
                        aspect='auto', cmap=plt.get_cmap('magma', 10),
                        vmin=-2.5, vmax=3)
            axis.set(xticks=[], yticks=[])
            if severity:
                level = CORRUPTIONS[corruption].levels[severity - 1]
                axis.set_title(f'{severity}: {level:g}', fontsize=8)
        row[0].set_title('clean', fontsize=8)
        row[0].set_ylabel(corruption, fontsize=9)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=60)


if __name__ == '__main__':
    main()
