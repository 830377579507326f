"""Where sources and target lie in the embedding: silhouettes and t-SNE."""
import argparse
import sys

import numpy as np

from mbcd_mmaction.analysis.tables import markdown
from mbcd_mmaction.analysis.tsne import project, silhouettes
from mbcd_mmaction.apis.figures.figure import (
    SPLITS,
    Figure,
    Run,
    add_figure_arguments,
    open_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.apis.figures.trained import build_loader, predict


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_figure_arguments(parser, split=None)
    parser.add_argument('--perplexity', type=float, default=30,
                        help='neighbours that count (default: %(default)s)')
    return parser.parse_args()


def measure(run: Run, args: argparse.Namespace) -> dict:
    """Coordinates of each clip, what it is, and the silhouettes."""
    cfg, model = open_run(run, args)
    found = {split: predict(model, build_loader(cfg, split, args.max_clips))
             for split in ('val', 'test')}
    embeddings = np.concatenate([p.embeddings for p in found.values()])
    labels = [int(y) for p in found.values() for y in p.labels]
    domains = [str(d) for p in found.values() for d in p.domains]
    splits = [split for split, p in found.items() for _ in p.labels]
    coordinates, divergence = project(embeddings, args.perplexity, args.seed)
    return dict(
        silhouettes=silhouettes(embeddings, labels, domains, splits),
        divergence=divergence, coordinates=coordinates.tolist(),
        labels=labels, domains=domains, splits=splits)


def main() -> int:
    args = parse_args()
    runs = {run.name: measure(run, args) for run in args.runs}
    keys = list(next(iter(runs.values()))['silhouettes'])
    print('Silhouettes in the embedding:\n\n' + markdown(
        ['method', *keys],
        [[name, *['-' if v is None else f'{v:.3f}'
                  for v in run['silhouettes'].values()]]
         for name, run in runs.items()]))
    rows = [
        dict(run=name, x=x, y=y, label=label, domain=domain, split=split)
        for name, run in runs.items()
        for (x, y), label, domain, split in zip(
            run['coordinates'], run['labels'], run['domains'], run['splits'],
            strict=True)
    ]
    caption = (
        f't-SNE of the concatenated embeddings of {SPLITS["val"]} (circles) '
        f'and {SPLITS["test"]} (triangles), by class above and by domain '
        'below. The silhouettes are measured in the embedding itself, not in '
        'the plane.')
    write_figure(
        Figure('tsne', caption, args.runs,
               settings_of(args, perplexity=args.perplexity),
               dict(runs=runs), rows), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
