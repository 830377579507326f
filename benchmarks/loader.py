"""Samples per second of the loader against a straightforward one.

    python benchmarks/loader.py

Makes sets like the real ones (benchmarks/loader_set.py), pins itself to one
core, and reads each clip by both loaders in turn, so that a busy machine
slows both. Prints milliseconds and ratios: medians over clips and rounds,
with the quartiles of the ratio. The straightforward loader
(benchmarks/loader_plain.py) always reads the clips as they are found; ours
also reads them with a key frame every 16 frames, and as jpg frames.
"""
import argparse
import os
import sys
import time
from pathlib import Path

import cv2
import loader_plain
import numpy as np
import torch
from loader_set import make_sets
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.config import Config

import mbcd_mmaction  # noqa: F401  registers

ROOT = Path(__file__).resolve().parents[1]
MODALITIES = ('video', 'flow', 'audio')
# Our set, its config, the set that the straightforward loader reads.
CASES = {
    'EPIC-like clips': ('epic', 'epic', 'epic'),
    'EPIC-like clips, key frame every 16': ('epic-gop16', 'epic', 'epic'),
    'EPIC-like jpg frames': ('epic-jpg', 'epic', 'epic'),
    'HAC-like clips': ('hac', 'hac', 'hac'),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', type=Path, default=ROOT / 'data/loader',
                        help='folder for the sets (default: data/loader)')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--clips', type=int, default=6)
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    make_sets(args.root, args.clips)
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    print(f'{"":38}{"plain ms":>10}{"ours ms":>10}{"ratio":>8}'
          f'{"quartiles":>14}')
    for title, names in CASES.items():
        print(title)
        measure(args.root, *names, args.rounds)
    return 0


def check(own: dict, other: dict, step) -> None:
    """Both loaders must give samples of the same shapes."""
    ours = step(fresh(own))
    for name, array in loader_plain.sample(other).items():
        if ours[name].shape[1:] != array.shape:
            raise ValueError(f'{name}: expected {array.shape} after the '
                             f'views, got {ours[name].shape}')


def measure(root: Path, ours: str, config: str, plain: str,
            rounds: int) -> None:
    """Print the lines of one set: each modality, and the whole sample."""
    own, other = records(root, ours), records(root, plain)
    whole = config_pipeline(config)
    check(own[0], other[0], narrowed(whole, MODALITIES))
    for modality in (*MODALITIES, 'whole sample'):
        alone = modality in MODALITIES
        names = (modality, ) if alone else MODALITIES
        step = narrowed(whole, names)
        pairs = []
        for round_number in range(rounds):
            np.random.seed(round_number)
            for mine, theirs in zip(own, other, strict=True):
                slow = seconds(lambda: [
                    loader_plain.READERS[m](theirs['sources'][m])  # noqa: B023
                    for m in names])  # noqa: B023
                fast = seconds(lambda: step(fresh(mine)))  # noqa: B023
                pairs.append((slow, fast))
        report(modality, np.array(pairs))


def records(root: Path, name: str) -> list[dict]:
    """The clips of a set, as its dataset lists them."""
    kind = dict(type='HACDataset', domains='human') if name == 'hac' else (
        dict(type='EpicKitchensDataset', domains='D1'))
    dataset = DATASETS.build(
        dict(kind, data_root=str(root / name), split='train', pipeline=[],
             modalities=list(MODALITIES)))
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def config_pipeline(name: str) -> dict:
    """The training pipeline's first step, of the shipped config."""
    config = Config.fromfile(
        ROOT / f'configs/_base_/datasets/{name}_video-flow-audio.py')
    return config.train_pipeline[0]


def narrowed(step: dict, modalities: tuple[str, ...]):
    """That step for some of the modalities."""
    pipelines = {m: step['pipelines'][m] for m in modalities}
    built = TRANSFORMS.build(dict(step, pipelines=pipelines))
    return lambda record: built(dict(record, modalities=list(modalities)))


def fresh(record: dict) -> dict:
    """A record that a pipeline may change."""
    return dict(record, sources={m: dict(s)
                                 for m, s in record['sources'].items()})


def seconds(call) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(title: str, pairs: np.ndarray) -> None:
    """One line: medians of (P, 2) seconds, and of their ratio."""
    slow, fast = 1e3 * np.median(pairs, axis=0)
    low, middle, high = np.percentile(pairs[:, 0] / pairs[:, 1],
                                      [25, 50, 75])
    print(f'  {title:36}{slow:10.1f}{fast:10.1f}{middle:8.1f}'
          f'{low:7.1f}-{high:.1f}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
