"""Accuracy under corruption at five severities (docs/robustness.md)."""
import argparse
import sys

from mbcd_mmaction.analysis.corruptions import (
    corruption_numbers,
    corruption_rows,
)
from mbcd_mmaction.apis.figures.corrupted import (
    corrupted_accuracy,
    fitting_corruptions,
    parse_corruptions,
)
from mbcd_mmaction.apis.figures.figure import (
    SPLITS,
    Figure,
    add_figure_arguments,
    open_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.datasets.corruptions import SEVERITIES

CAPTION = (
    'Top-1 on {} over the severity of a corruption, 0 being clean. Above the '
    "fused prediction, below the corrupted modality's own; a clip is "
    'corrupted alike for every model.')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_figure_arguments(parser)
    parser.add_argument(
        '--corruptions', nargs='+', type=parse_corruptions,
        metavar='MODALITY:CORRUPTION',
        help='default: all that fit, but lost frames of flow; several at '
        'once as video:defocus_blur+audio:wind_noise')
    parser.add_argument('--severities', nargs='+', type=int,
                        default=list(SEVERITIES), choices=SEVERITIES)
    args = parser.parse_args()
    args.severities = sorted(set(args.severities))
    return args


def main() -> int:
    args = parse_args()
    runs = {}
    for run in args.runs:
        cfg, model = open_run(run, args)
        conditions = args.corruptions or [
            (pair, ) for pair in fitting_corruptions(cfg, args.split)]
        measured = []
        for name, severity, top1 in corrupted_accuracy(
                model, cfg, conditions, args.severities, args.split,
                args.max_clips, args.seed):
            measured.append((name, severity, top1))
            print(f'{run.name} {name or "clean"} {severity}: '
                  f'{100 * top1["fused"]:.1f}', flush=True)
        runs[run.name] = corruption_numbers(measured)
    write_figure(
        Figure('corruptions', CAPTION.format(SPLITS[args.split]), args.runs,
               settings_of(args, severities=args.severities),
               dict(runs=runs), corruption_rows(runs)), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
