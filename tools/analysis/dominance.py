"""Dominance ratio and drop probability over a training (Eq. 3 and 4;
docs/figures.md), from its log."""
import argparse
import sys
from pathlib import Path

from mbcd_mmaction.analysis.dominance import dominance_numbers, dominance_rows
from mbcd_mmaction.analysis.scalars import read_scalars
from mbcd_mmaction.apis.figures.figure import Figure, UniqueRuns, write_figure
from mbcd_mmaction.apis.figures.trainings import parse_log

CAPTION = (
    'Dominance ratio (Eq. 3) and drop probability (Eq. 4) of each modality '
    'over the steps of a training. Thin lines are single batches, thick ones '
    'the mean of five logged steps; above 1 a modality runs ahead.')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', type=parse_log, action=UniqueRuns,
                        metavar='NAME=WORK_DIR', help='trainings')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/figures'),
                        help='folder of the JSON, the CSV and the picture '
                        '(default: %(default)s)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    runs = {run.name: dominance_numbers(read_scalars(run.work_dir))
               for run in args.runs}
    write_figure(
        Figure('dominance', CAPTION, args.runs, {}, dict(runs=runs),
               dominance_rows(runs)), args.out)
    for run, found in runs.items():
        for modality, ratio in found['mean']['dominance_ratio'].items():
            print(f'{run} {modality}: mean ratio {ratio:.3f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
