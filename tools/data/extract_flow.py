"""Compute optical flow: python tools/data/extract_flow.py MANIFEST.

For each clip of a manifest that names no flow files. What is done is left
alone, so that an interrupted run is continued by the same command.
"""
import argparse
import sys

from mbcd_mmaction.datasets.extraction import command
from mbcd_mmaction.datasets.extraction.flow import METHODS, STEPS
from mbcd_mmaction.datasets.extraction.from_manifest import extract_flow


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compute the optical flow of the clips of a manifest')
    command.add_common_arguments(parser)
    parser.add_argument('--method', choices=METHODS, default='dis',
                        help='dis is fast; tvl1 takes far longer '
                        '(default: dis)')
    parser.add_argument('--step', type=int, default=1, choices=STEPS,
                        help='2: from every second frame to the next such, '
                        'half the rate (default: 1)')
    parser.add_argument('--short-side', type=int, default=256, metavar='PX',
                        help='frames are resized to this before; 0 keeps '
                        'their size. Flow is in pixels of the resized frame '
                        '(default: 256)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    return command.run_command(
        lambda: extract_flow(
            args.manifest, method=args.method, step=args.step,
            short_side=args.short_side, **command.common_options(args)),
        'clips')


if __name__ == '__main__':
    sys.exit(main())
