"""Samples a second against workers and against processes.

The shipped training pipeline of EPIC-Kitchens on clips like its own
(benchmarks/loader_set.py). Each process reads its share of the samples by
DistributedSampler, as a rank does; the slowest one counts. Workers are
started, and have read once, before the clock is. The combinations take turns
in each round; ratios are to one process without workers in the same round.
"""
import argparse
import multiprocessing
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from loader_set import make_sets
from mmaction.registry import DATASETS
from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset, Subset
from torch.utils.data.distributed import DistributedSampler

import mbcd_mmaction  # noqa: F401  registers

ROOT = Path(__file__).resolve().parents[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--root', type=Path, default=ROOT / 'data/loader',
                        help='folder for the clips (default: data/loader)')
    parser.add_argument('--clips', type=int, default=6)
    parser.add_argument('--samples', type=int, default=96,
                        help='of all processes together (default: 96)')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--workers', type=int, nargs='+',
                        default=[0, 1, 2, 4], help='of each process')
    parser.add_argument('--processes', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--rounds', type=int, default=3)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Print a line a combination; returns the figures."""
    make_sets(args.root, args.clips, names=['epic'])
    dataset = clips_of(args.root, args.samples)
    cases = [(p, w) for p in args.processes for w in args.workers]
    if (1, 0) not in cases:
        cases.insert(0, (1, 0))
    rates: dict[tuple[int, int], list[float]] = {case: [] for case in cases}
    for _ in range(args.rounds):
        for case in cases:
            rates[case].append(
                args.samples / slowest(dataset, *case, args.batch))
    print(f'{"processes":>10}{"workers":>9}{"samples/s":>11}{"ratio":>8}'
          f'{"quartiles":>13}')
    figures = []
    for (processes, workers), found in rates.items():
        ratios = np.array(found) / rates[1, 0]
        low, middle, high = np.percentile(ratios, [25, 50, 75])
        figures.append(dict(processes=processes, workers=workers,
                            samples_s=float(np.median(found)),
                            ratio=[float(low), float(middle), float(high)]))
        print(f'{processes:10}{workers:9}{np.median(found):11.1f}'
              f'{middle:8.2f}{low:7.2f}-{high:.2f}')
    return figures


def clips_of(root: Path, samples: int) -> Dataset:
    """The clips, over and over."""
    base = ROOT / 'configs/_base_/datasets/epic_video-flow-audio.py'
    config = Config.fromfile(str(base)).train_dataloader.dataset
    dataset = DATASETS.build(
        dict(config, data_root=str(root / 'epic'), domains='D1'))
    return Subset(dataset, [n % len(dataset) for n in range(samples)])


def slowest(dataset: Dataset, processes: int, workers: int,
            batch: int) -> float:
    """Seconds until every process has read its share."""
    context = multiprocessing.get_context('fork')
    together, times = context.Barrier(processes), context.SimpleQueue()
    crew = [context.Process(target=read, args=(
        dataset, rank, processes, workers, batch, together, times))
        for rank in range(processes)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
        if process.exitcode:
            raise RuntimeError(f'a reader ended with {process.exitcode}')
    return max(times.get() for _ in crew)


def read(dataset: Dataset, rank: int, processes: int, workers: int,
         batch: int, together, times) -> None:
    """What a process does: all of its share twice, the second on time."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sampler = DistributedSampler(dataset, processes, rank, shuffle=True)
    loader = DataLoader(
        dataset, batch, sampler=sampler, num_workers=workers,
        collate_fn=list, persistent_workers=workers > 0,
        multiprocessing_context='fork' if workers else None)
    _read_all(loader)
    together.wait(timeout=600)  # another reader may have failed
    start = time.perf_counter()
    _read_all(loader)
    times.put(time.perf_counter() - start)


def _read_all(loader: DataLoader) -> None:
    for _ in loader:
        pass
