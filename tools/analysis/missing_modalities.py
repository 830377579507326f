"""Fused accuracy of every subset of the modalities, the others masked."""
import argparse
import sys

from mbcd_mmaction.analysis.missing_modalities import subset_name, subsets
from mbcd_mmaction.analysis.tables import markdown, mean_std
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
    FUSED,
    Variant,
    build_loader,
    predict_variants,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_figure_arguments(parser)
    return parser.parse_args()


def measure(run: Run, args: argparse.Namespace) -> dict[str, float]:
    """Subset to its fused top-1."""
    cfg, model = open_run(run, args)
    found = predict_variants(
        model, build_loader(cfg, args.split, args.max_clips),
        {s: Variant(modalities=s) for s in subsets(model.modalities)})
    return {subset_name(s): one.top1()[FUSED] for s, one in found.items()}


def main() -> int:
    args = parse_args()
    runs = {run.name: measure(run, args) for run in args.runs}
    names = list(dict.fromkeys(name for run in runs.values()
                               for name in run))
    print(markdown(['method', *names], [
        [method, *[mean_std([run[name]]) if name in run else '-'
                   for name in names]]
        for method, run in runs.items()]))
    caption = (
        f'Top-1 (%) on {SPLITS[args.split]} of the fused prediction from '
        "each subset of the modalities; the others' embeddings are zeros, as "
        'modality dropout makes them.')
    write_figure(
        Figure('missing_modalities', caption, args.runs, settings_of(args),
               dict(subsets=names, runs=runs),
               [dict(run=method, **{name: run.get(name) for name in names})
                for method, run in runs.items()]), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
