"""Does confidence tell wrong from right predictions, and foreign clips from
those of known classes? (docs/robustness.md)"""
import argparse
import sys

from mmengine.config import DictAction

from mbcd_mmaction.analysis.detection import (
    detection_numbers,
    detection_rows,
    detection_table,
)
from mbcd_mmaction.apis.figures.figure import (
    SPLITS,
    Figure,
    add_figure_arguments,
    open_run,
    portable,
    portable_options,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.figures.ood import with_clips_of
from mbcd_mmaction.apis.figures.trained import (
    build_loader,
    predict,
    read_config,
)

CAPTION = (
    'Maximum softmax probability as confidence, on {}. Left: error rate '
    'among the surest clips, over their share. Others: ROC of correct '
    'against wrong predictions and of known against out-of-distribution '
    '(OOD) clips. Curves are of the fused output.')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_figure_arguments(parser)
    parser.add_argument(
        '--ood-config', help='a config whose clips, of the same split, '
        'belong to none of the classes that were learnt')
    parser.add_argument('--ood-options', nargs='+', action=DictAction,
                        help='as --cfg-options, for --ood-config')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    other = None
    if args.ood_config is not None:
        other = read_config(args.ood_config, args.ood_options)
    runs = {}
    for run in args.runs:
        cfg, model = open_run(run, args)
        known = predict(model, build_loader(cfg, args.split, args.max_clips))
        ood = None
        if other is not None:
            ood = predict(model, build_loader(
                with_clips_of(cfg, other, args.split), args.split,
                args.max_clips)).scores
        runs[run.name] = detection_numbers(known.scores, known.labels, ood)
    rows = detection_rows(runs)
    print(f'\n{detection_table(rows)}\n')
    write_figure(
        Figure('detection', CAPTION.format(SPLITS[args.split]), args.runs,
               settings_of(args,
                           ood_config=args.ood_config and portable(
                               args.ood_config),
                           ood_options=portable_options(args.ood_options)),
               dict(runs=runs), rows),
        args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
