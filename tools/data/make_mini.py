"""Make the mini set: python tools/data/make_mini.py [ROOT]."""
import argparse
import time
from pathlib import Path

from mbcd_mmaction.datasets.mini import make_mini


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Make the mini set, a small generated set in the layout '
        'of EPIC-Kitchens (docs/mini_set.md)')
    parser.add_argument('root', nargs='?', default='data/mini', type=Path,
                        help='folder to fill (default: data/mini)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int,
                        help='processes (default: the cores, at most 8)')
    parser.add_argument('--train-clips', type=int, default=176,
                        help='per domain, a multiple of 8')
    parser.add_argument('--test-clips', type=int, default=80,
                        help='per domain, a multiple of 8')
    parser.add_argument('--unknown', action='store_true',
                        help='actions that the mini set does not have, for '
                        'out-of-distribution detection')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    root = make_mini(args.root, seed=args.seed, train_clips=args.train_clips,
                     test_clips=args.test_clips, workers=args.workers,
                     unknown=args.unknown)
    size = sum(p.stat().st_size for p in root.rglob('*') if p.is_file())
    print(f'{root}: {size / 1e6:.1f} MB, ready after '
          f'{time.perf_counter() - start:.1f} s')


if __name__ == '__main__':
    main()
