"""How flat the minimum is: loss against the radius of a random perturbation.

docs/figures.md says what is moved, and how to read it.
"""
import argparse
import sys

from mbcd_mmaction.analysis.flatness import loss_at_radii
from mbcd_mmaction.analysis.tables import markdown
from mbcd_mmaction.apis.figures.figure import (
    SPLITS,
    Figure,
    Run,
    add_figure_arguments,
    open_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.figures.fused_loss import (
    fused_loss,
    fused_weights,
    hold_clips,
)
from mbcd_mmaction.apis.figures.trained import build_loader

RADII = [0.0, .1, .2, .3, .4, .5, .6, .8, 1.0]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_figure_arguments(parser, split='val', max_clips=256)
    parser.add_argument('--radii', type=float, nargs='+', default=RADII,
                        help="shares of each filter's norm (default: "
                        '%(default)s)')
    parser.add_argument('--directions', type=int, default=5,
                        help='random directions, 2 or more (default: '
                        '%(default)s)')
    args = parser.parse_args()
    args.radii = sorted({0.0, *args.radii})
    if args.directions < 2 or args.radii[0] < 0:
        parser.error('expected two directions or more and radii of 0 or '
                     f'more, got {args.directions} and {args.radii}')
    return args


def measure(run: Run, args: argparse.Namespace) -> dict:
    """The numbers of one run."""
    cfg, model = open_run(run, args)
    clips = hold_clips(model, build_loader(cfg, args.split, args.max_clips))
    weights = fused_weights(model)
    losses = loss_at_radii(weights, lambda: fused_loss(model, clips),
                           args.radii, args.directions, args.seed)
    moved = [weight for weight in weights.values() if weight.ndim > 1]
    return dict(clips=sum(len(samples) for _, samples in clips),
                tensors=len(moved), weights=sum(w.numel() for w in moved),
                at_zero=float(losses[0, 0]), loss=losses.tolist(),
                mean=losses.mean(0).tolist(),
                std=losses.std(0, ddof=1).tolist())


def main() -> int:
    args = parse_args()
    runs = {}
    for run in args.runs:
        print(f'{run.name}: {args.directions} directions', flush=True)
        runs[run.name] = measure(run, args)
    print(markdown(['radius', *runs], [
        [f'{radius:g}', *[f'{run["mean"][i]:.3f} ± {run["std"][i]:.3f}'
                          for run in runs.values()]]
        for i, radius in enumerate(args.radii)]))
    clips = max(run['clips'] for run in runs.values())
    caption = (
        f'Fused cross-entropy on {SPLITS[args.split]} ({clips} clips) when '
        'the trained weights are moved along random filter-normalised '
        f'directions (Li et al. 2018): mean and standard deviation of '
        f'{args.directions} directions. Eval mode; BatchNorm statistics are '
        'not estimated again.')
    rows = [dict(run=name, radius=radius, direction=i, loss=loss)
            for name, numbers in runs.items()
            for i, losses in enumerate(numbers['loss'])
            for radius, loss in zip(args.radii, losses, strict=True)]
    write_figure(
        Figure('flatness', caption, args.runs,
               settings_of(args, directions=args.directions),
               dict(radii=args.radii, runs=runs), rows), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
