"""Start-up time and memory of datasets of many clips, and of their workers.

Each case is a process of its own, since a peak of memory is never forgotten:
a list, read into the dataset as it is or (``whole records``) as MMEngine
keeps any other set. There are W workers; each reads the record of every clip
scattered, as an epoch would. Growth is the proportional share
(PSS) of the process and its workers together, less that of the process
before them; the same with workers that read nothing is the price of a
process.
"""
import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import DATASETS
from scale_lists import make_lists

import mbcd_mmaction  # noqa: F401  registers
from mbcd_mmaction.datasets.compact import CompactDataset

ROOT = Path(__file__).resolve().parents[1]
# A prime: multiples of it reach every clip of a list that it does not divide.
STRIDE = 611_953


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--root', type=Path, default=ROOT / 'data/scale',
                        help='folder for the lists (default: data/scale)')
    parser.add_argument('--records', type=int, default=1_000_000)
    parser.add_argument('--lists', nargs='+', default=['epic', 'manifest'],
                        choices=('epic', 'manifest'))
    parser.add_argument('--workers', type=int, default=4)
    parser.add_argument('--start', default='fork', choices=('fork', 'spawn'),
                        help='how workers start (default: fork)')
    parser.add_argument('--whole', action='store_true',
                        help='also measure whole records, as the host '
                        'keeps them (gigabytes at a million)')


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Print a line a case; returns the figures."""
    configs = make_lists(args.root, args.records)
    print(f'{args.records} clips, {args.workers} workers by {args.start}; '
          'memory in MiB')
    print(f'{"":28}{"start s":>9}{"peak":>8}{"kept":>8}{"B/clip":>8}'
          f'{"us/read":>9}{"growth":>8}{"idle":>8}')
    figures = []
    for kind in args.lists:
        config = configs[kind]
        for whole in (False, True) if args.whole else (False, ):
            job = dict(config=config, whole=whole, workers=args.workers,
                       start=args.start)
            done = subprocess.run(
                [sys.executable, '-W', 'ignore', __file__, json.dumps(job)],
                stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            name = kind + (', whole records' if whole else '')
            figures.append(dict(case=name, records=args.records,
                                workers=args.workers, start=args.start,
                                **found))
            print(f'{name:28}{found["start_s"]:9.1f}{found["peak"]:8.0f}'
                  f'{found["kept"]:8.0f}{found["bytes_a_clip"]:8.0f}'
                  f'{found["read_us"]:9.1f}{found["growth"]:8.1f}'
                  f'{found["idle_growth"]:8.1f}', flush=True)
    return figures


def measure(job: dict[str, Any]) -> dict[str, float]:
    """The figures of one case, in a process that did nothing before."""
    if job['whole']:
        CompactDataset._packs_rows = lambda self: False
    before, begun = memory('Rss'), time.perf_counter()
    dataset = DATASETS.build(dict(job['config'], pipeline=[]))
    start_s = time.perf_counter() - begun
    figures = dict(
        start_s=start_s,
        peak=peak() - before,
        kept=memory('Rss') - before,
        bytes_a_clip=(dataset.data_bytes.nbytes + dataset.data_address.nbytes)
        / len(dataset))
    numbers = np.random.default_rng(0).permutation(len(dataset))[:1000]
    begun = time.perf_counter()
    for number in numbers:
        dataset.get_data_info(int(number))
    figures['read_us'] = (time.perf_counter() - begun) / len(numbers) * 1e6
    for name, share in (('idle_growth', 0.0), ('growth', 1.0)):
        figures[name] = growth(dataset, job['workers'], job['start'], share)
    return figures


def growth(dataset: CompactDataset, workers: int, start: str,
           share: float) -> float:
    """MiB that workers add, where each reads a share of all records."""
    context = multiprocessing.get_context(start)
    before = memory('Pss')
    read, leave = context.Barrier(workers + 1), context.Event()
    crew = [context.Process(target=work, daemon=True,
                            args=(dataset, seed, share, read, leave))
            for seed in range(workers)]
    for process in crew:
        process.start()
    read.wait()
    after = memory('Pss') + sum(memory('Pss', p.pid) for p in crew)
    leave.set()
    for process in crew:
        process.join()
        if process.exitcode:
            raise RuntimeError(f'a worker ended with {process.exitcode}')
    return after - before


def work(dataset: CompactDataset, seed: int, share: float, read,
         leave) -> None:
    """What a worker does."""
    # All of them, scattered, without the memory of a shuffled list.
    total = len(dataset)
    for turn in range(round(share * total)):
        dataset.get_data_info((seed + turn * STRIDE) % total)
    read.wait()
    leave.wait()


def memory(kind: str, pid: int | str = 'self') -> float:
    """MiB of a process by the kernel's count: 'Rss' or 'Pss' (its share)."""
    path = f'/proc/{pid}/smaps_rollup'
    if not os.path.exists(path):
        raise FileNotFoundError(f'expected {path}: this needs Linux 4.14')
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(':')
        if name == kind:
            return int(value.split()[0]) / 1024
    raise ValueError(f'{path} has no {kind}')


def peak() -> float:
    """The largest Rss that this process ever had, MiB."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) / 1024
    raise ValueError('/proc/self/status has no VmHWM')


if __name__ == '__main__':
    print(json.dumps(measure(json.loads(sys.argv[1]))))
