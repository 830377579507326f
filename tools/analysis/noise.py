"""Accuracy against the strength of Gaussian noise on one modality."""
import argparse
import sys

from mbcd_mmaction.analysis.noise import SCALES, noises
from mbcd_mmaction.apis.figures.figure import (
    SPLITS,
    Figure,
    Run,
    add_figure_arguments,
    open_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.figures.trained import (
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


def measure(run: Run, args: argparse.Namespace) -> dict:
    """Top-1 by disturbed modality and output, one a strength."""
    cfg, model = open_run(run, args)
    louder = [s for s in args.strengths if s > 0]
    variants = {None: Variant()}
    variants.update(
        (key, Variant(change=noise)) for key, noise in noises(
            model.modalities, louder, args.seed, args.scale).items())
    found = predict_variants(
        model, build_loader(cfg, args.split, args.max_clips), variants)
    shares = {key: predictions.top1() for key, predictions in found.items()}
    return dict(chance=1 / model.num_classes, top1={
        m: {output: [shares[(m, s) if s else None][output]
                     for s in args.strengths] for output in shares[None]}
        for m in model.modalities
    })


def main() -> int:
    args = parse_args()
    runs = {}
    for run in args.runs:
        runs[run.name] = measure(run, args)
        for noisy, outputs in runs[run.name]['top1'].items():
            print(f'{run.name}, noise on {noisy}: fused top-1 (%) '
                  + ' '.join(f'{100 * s:.1f}' for s in outputs['fused']),
                  flush=True)
    rows = [dict(run=name, noisy=noisy, strength=strength, output=output,
                 top1=share)
            for name, run in runs.items()
            for noisy, outputs in run['top1'].items()
            for output, shares in outputs.items()
            for strength, share in zip(args.strengths, shares, strict=True)]
    unit = ("standard deviations of each clip's own input"
            if args.scale == 'clip' else 'units of the normalised input')
    caption = (
        f'Top-1 on {SPLITS[args.split]} with Gaussian noise on one modality '
        f'at a time, in {unit}; every model meets the same noise. Above the '
        "fused prediction, below the disturbed modality's own; dashed: "
        'chance.')
    noisy = list(dict.fromkeys(
        m for run in runs.values() for m in run['top1']))
    write_figure(
        Figure('noise', caption, args.runs,
               settings_of(args, scale=args.scale),
               dict(strengths=args.strengths, noisy=noisy, runs=runs), rows),
        args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
