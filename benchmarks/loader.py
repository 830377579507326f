"""Samples per second of the loader against a straightforward one.

    python benchmarks/loader.py

Makes sets like the real ones (benchmarks/loader_set.py), pins itself to one
core, and reads each clip by both loaders in turn, so that a busy machine
slows both. Prints milliseconds of one core, medians over clips and rounds,
the ratio of the two with its quartiles, and samples per second of a worker.
The straightforward loader (benchmarks/loader_plain.py) always reads the clips
as they are found; ours also reads what tools/data/reencode.py made of them,
and jpg frames. The last two lines of a set have bare decoding of the RGB
frames that ours reads (benchmarks/loader_bare.py) in the first column, and in
the second ours without crop and resize, and all of ours; here the ratio says
how many times as long ours takes. With --imageio the straightforward loader
calls imageio, as the released ones do; its present release ends each file with
full garbage collections, which take the longer the more is imported.
"""
import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import loader_plain
import numpy as np
import torch
from loader_bare import bare
from loader_set import make_sets
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.config import Config

import mbcd_mmaction  # noqa: F401  registers

ROOT = Path(__file__).resolve().parents[1]
MODALITIES = ('video', 'flow', 'audio')
CLOCKS = dict(cpu=time.process_time, wall=time.perf_counter)
# Our set, its config, the set that the straightforward loader reads.
CASES = {
    'EPIC-like clips': ('epic', 'epic', 'epic'),
    'EPIC-like clips, re-encoded': ('epic-gop16', 'epic', 'epic'),
    'EPIC-like jpg frames': ('epic-jpg', 'epic', 'epic'),
    'HAC-like clips': ('hac', 'hac', 'hac'),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--root', type=Path, default=ROOT / 'data/loader',
                        help='folder for the sets (default: data/loader)')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--clips', type=int, default=6)
    parser.add_argument('--seconds', type=float, default=10,
                        help='length of the longest clip, where the sets '
                        'are yet to be made (default: 10)')
    parser.add_argument('--clock', choices=CLOCKS, default='cpu',
                        help="cpu: the process's own time, which others on "
                        'the machine disturb less (default: cpu)')
    parser.add_argument('--imageio', action='store_true',
                        help='whole clips are read by imageio itself (pip '
                        'install imageio) and not by the same calls of PyAV')
    parser.add_argument('--out', type=Path, help='JSON file for the figures')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    release = loader_plain.read_by_imageio() if args.imageio else None
    make_sets(args.root, args.clips, args.seconds)
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    print(f'{"":34}{"plain ms":>10}{"ours ms":>10}{"ratio":>8}'
          f'{"quartiles":>12}{"samples/s":>11}')
    figures = []
    for title, names in CASES.items():
        print(title)
        for row in measure(args.root, *names, args.rounds,
                           CLOCKS[args.clock]):
            figures.append(dict(set=title, **row))
            show(row)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(
            dict(clock=args.clock, rounds=args.rounds, clips=args.clips,
                 imageio=release, rows=figures), indent=1) + '\n')
    return 0


def check(own: dict, other: dict, step: Callable) -> None:
    """Both loaders must give samples of the same shapes."""
    ours = step(fresh(own))
    for name, array in loader_plain.sample(other).items():
        if ours[name].shape[1:] != array.shape:
            raise ValueError(f'{name}: expected {array.shape} after the '
                             f'views, got {ours[name].shape}')


def measure(root: Path, ours: str, config: str, plain: str, rounds: int,
            clock: Callable[[], float]):
    """Yield the figures of one set: each modality, the whole, bare RGB."""
    own, other = records(root, ours), records(root, plain)
    pipeline = config_pipeline(config)
    check(own[0], other[0], narrowed(pipeline, MODALITIES))

    def of(step: Callable, slow: Callable) -> np.ndarray:
        pairs = []
        for number in range(rounds):
            for clip, mine in enumerate(own):
                seed = 1000 * number + clip
                pairs.append((timed(slow(clip, seed), clock, seed),
                              timed(lambda: step(fresh(mine)),  # noqa: B023
                                    clock, seed)))
        return np.array(pairs)

    for name in MODALITIES:
        yield figures_of(name, of(
            narrowed(pipeline, (name, )), lambda clip, _: (
            lambda: loader_plain.READERS[name](  # noqa: B023
                other[clip]['sources'][name]))))  # noqa: B023
    yield figures_of('whole sample', of(
        narrowed(pipeline, MODALITIES),
        lambda clip, _: lambda: loader_plain.sample(other[clip])))
    draw, seen = window_of(pipeline), narrowed(pipeline, ('video', ))

    def decoding(clip: int, seed: int) -> Callable:
        reseed(seed)
        return bare(own[clip]['sources']['video'],
                    draw(own[clip])['frame_inds'].tolist())

    def reading(record: dict) -> None:
        results = draw(record)
        for _ in results['clip_readers'][0].frames(results['frame_inds']):
            pass

    yield figures_of('bare, and our reader', of(reading, decoding))
    yield figures_of('bare, and our video', of(seen, decoding))


def window_of(pipeline: dict) -> Callable[[dict], dict]:
    """The video pipeline up to the window of frames, drawn at random."""
    steps = [TRANSFORMS.build(step)
             for step in pipeline['pipelines']['video'][:2]]

    def draw(record: dict) -> dict:
        results = dict(fresh(record), shared={}, aligned=False,
                       **record['sources']['video'])
        for step in steps:
            results = step(results)
        return results

    return draw


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


def narrowed(step: dict, modalities: tuple[str, ...]) -> Callable:
    """That step for some of the modalities."""
    pipelines = {m: step['pipelines'][m] for m in modalities}
    built = TRANSFORMS.build(dict(step, pipelines=pipelines))
    return lambda record: built(dict(record, modalities=list(modalities)))


def fresh(record: dict) -> dict:
    """A record that a pipeline may change."""
    return dict(record, sources={m: dict(s)
                                 for m, s in record['sources'].items()})


def reseed(seed: int) -> None:
    """Seed both generators that crops and windows are drawn by."""
    random.seed(seed)
    np.random.seed(seed)


def timed(call: Callable, clock: Callable[[], float], seed: int) -> float:
    """Seconds that one call takes."""
    reseed(seed)
    start = clock()
    call()
    return clock() - start


def figures_of(title: str, pairs: np.ndarray) -> dict:
    """Medians of (P, 2) seconds, and of the ratio; for bare, its inverse."""
    slow, fast = 1e3 * np.median(pairs, axis=0)
    ratio = pairs[:, 0] / pairs[:, 1]
    if title.startswith('bare'):
        ratio = 1 / ratio
    low, middle, high = np.percentile(ratio, [25, 50, 75])
    return dict(what=title, other_ms=slow, ours_ms=fast, ratio=middle,
                low=low, high=high, samples_per_second=1e3 / fast)


def show(row: dict) -> None:
    """One line."""
    print(f'  {row["what"]:32}{row["other_ms"]:10.1f}{row["ours_ms"]:10.1f}'
          f'{row["ratio"]:8.2f}{row["low"]:7.2f}-{row["high"]:.2f}'
          f'{row["samples_per_second"]:11.1f}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
