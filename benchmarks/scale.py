"""What grows with the set, the workers, the model and the ranks.

    python benchmarks/scale.py records --records 1000000 --workers 4
    python benchmarks/scale.py throughput
    python benchmarks/scale.py checkpoint
    python benchmarks/scale.py ddp

``records``: start-up time and memory of a long list of clips, in one process
and over its workers. ``throughput``: samples a second against workers and
against processes. ``checkpoint``: what stands in one, bytes and seconds.
``ddp``: bytes that a step sends, and the time that takes on paper. Each
prints a table; --out FILE.json keeps the figures.
"""
import argparse
import json
import sys
from pathlib import Path

import scale_checkpoint
import scale_ddp
import scale_records
import scale_throughput

PARTS = dict(
    records=scale_records,
    throughput=scale_throughput,
    checkpoint=scale_checkpoint,
    ddp=scale_ddp)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest='part', required=True)
    for name, module in PARTS.items():
        summary = module.__doc__.splitlines()[0]
        part = parts.add_parser(name, help=summary, description=summary)
        module.add_arguments(part)
        part.add_argument('--out', type=Path, metavar='FILE.json',
                          help='keep the figures')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    figures = PARTS[args.part].run(args)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(figures, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
