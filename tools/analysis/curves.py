"""Accuracy over epochs, source validation and unseen target (Fig. 5;
docs/figures.md). The target is read for this figure alone, from checkpoints
of every epoch, after the training; it selects nothing."""
import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

from mbcd_mmaction.analysis.curves import accuracy_curves, curve_rows
from mbcd_mmaction.analysis.scalars import read_scalars
from mbcd_mmaction.apis.figures.figure import (
    Figure,
    UniqueRuns,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.figures.trainings import (
    parse_training,
    target_by_epoch,
)

CAPTION = (
    'Top-1 over epochs: source validation as logged, and the unseen target '
    'by the checkpoints of the epochs that were kept. The dotted line is the '
    'epoch that the sources select; the target selects nothing.')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', type=parse_training,
                        action=UniqueRuns, metavar='NAME=CONFIG:WORK_DIR',
                        help='trainings, with the checkpoints of all epochs')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='as in tools/test.py, for every run')
    parser.add_argument('--source-only', action='store_true',
                        help='leave the target alone: needs the logs only')
    parser.add_argument('--max-clips', type=int,
                        help='at most so many clips of the target')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/figures'),
                        help='folder of the JSON, the CSV and the picture '
                        '(default: %(default)s)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    runs = {}
    for run in args.runs:
        scalars = read_scalars(run.work_dir)
        targets = {}
        if not args.source_only:
            for epoch, top1 in target_by_epoch(run, args.cfg_options,
                                               max_clips=args.max_clips):
                targets[epoch] = top1
                print(f'{run.name} epoch {epoch}: target '
                      f'{100 * top1["fused"]:.1f}', flush=True)
            missing = {row['step'] for row in scalars.val} - set(targets)
            if missing:
                print(f'{run.name}: no checkpoint of the epochs '
                      f'{sorted(missing)}; a training keeps all with '
                      '--cfg-options '
                      'default_hooks.checkpoint.max_keep_ckpts=-1',
                      file=sys.stderr)
        runs[run.name] = accuracy_curves(scalars, targets)
    write_figure(
        Figure('curves', CAPTION, args.runs, settings_of(args),
               dict(runs=runs), curve_rows(runs)), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
