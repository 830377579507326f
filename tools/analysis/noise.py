"""Accuracy against the strength of Gaussian noise on one modality."""
import argparse
import sys

from mbcd_mmaction.analysis.noise import SCALES, noises
from mbcd_mmaction.apis.figure import (
    SPLITS,
    Figure,
    add_figure_arguments,
    open_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.trained import (
    Variant,
    build_loader,
    predict_variants,
)

STRENGTHS = [0, .25, .5, 1, 2, 4]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_figure_arguments(parser)
    parser.add_argument('--strengths', type=float, nargs='+',
                        default=STRENGTHS, help='(default: %(default)s)')
    parser.add_argument('--scale', choices=SCALES, default='clip',
                        help="clip: in standard deviations of the clip's own "
                        'input; unit: in units of the normalised input')
    args = parser.parse_args()
    args.strengths = sorted({0.0, *args.strengths})
    if args.strengths[0] < 0:
        parser.error(f'expected strengths of 0 or more, got {args.strengths}')
    return args


def measure(run, args: argparse.Namespace) -> tuple[dict, int]:
    """Disturbed modality to output to top-1 by strength; and K."""
    cfg, model = open_run(run, args)
    louder = [s for s in args.strengths if s > 0]
    changes = noises(model.modalities, louder, args.seed, args.scale)
    found = predict_variants(
        model, build_loader(cfg, args.split, args.max_clips),
        {None: Variant(), **{k: Variant(change=c)
                             for k, c in changes.items()}})
    top1 = {key: one.top1() for key, one in found.items()}
    return {
        m: {output: [top1[(m, s) if s else None][output]
                     for s in args.strengths] for output in top1[None]}
        for m in model.modalities
    }, model.num_classes


def main() -> int:
    args = parse_args()
    runs, chance = {}, 0.0
    for run in args.runs:
        runs[run.name], classes = measure(run, args)
        chance = 1 / classes
        for modality, shares in runs[run.name].items():
            print(f'{run.name}, noise on {modality}: fused '
                  + ' '.join(f'{100 * s:.1f}' for s in shares['fused']),
                  flush=True)
    rows = [dict(run=name, noisy=noisy, strength=strength, output=output,
                 top1=share)
            for name, numbers in runs.items()
            for noisy, outputs in numbers.items()
            for output, shares in outputs.items()
            for strength, share in zip(args.strengths, shares, strict=True)]
    unit = ("standard deviations of each clip's own input"
            if args.scale == 'clip' else 'units of the normalised input')
    caption = (
        f'Top-1 on {SPLITS[args.split]} with Gaussian noise on one modality '
        f'at a time, in {unit}; every model meets the same noise. Above the '
        "fused prediction, below the disturbed modality's own; dashed: "
        'chance.')
    noisy = list(dict.fromkeys(m for run in runs.values() for m in run))
    write_figure(
        Figure('noise', caption, args.runs,
               settings_of(args, scale=args.scale),
               dict(strengths=args.strengths, noisy=noisy, chance=chance,
                    runs=runs), rows), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
