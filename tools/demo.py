"""The main job on the mini set: ERM and MBCD, trained, selected, tested.

Makes the mini set, trains both on D2 and D3, takes each one's best
checkpoint on the sources' validation split, tests it on the unseen D1,
prints one table and draws two pictures.
"""
import argparse
import sys
import time
from pathlib import Path

from mbcd_mmaction.analysis.curves import accuracy_curves
from mbcd_mmaction.analysis.dominance import dominance_numbers
from mbcd_mmaction.analysis.pictures import curves, dominance
from mbcd_mmaction.analysis.scalars import read_scalars
from mbcd_mmaction.analysis.tables import demo_table, outputs_of
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.apis.benchmark.running import run_experiment
from mbcd_mmaction.datasets.mini import make_mini

ROOT = Path(__file__).resolve().parents[1]
METHODS = {'ERM': 'erm', 'MBCD': 'mbcd'}
# A curve of 15 points; the set's own schedule validates every third epoch.
OPTIONS = ('train_cfg.val_interval=1', )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--target', default='D1',
                        choices=['D1', 'D2', 'D3'], help='unseen domain')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', default=ROOT / 'work_dirs/demo', type=Path,
                        help='folder of logs, checkpoints and pictures')
    return parser.parse_args()


def target_of(result: dict) -> dict[int, dict[str, float]]:
    """The selected epoch to its top-1 on the target by output."""
    metrics = result['target_metrics']
    return {result['epoch']: {output: metrics[key] for output, key
                              in outputs_of(metrics).items()}}


def main() -> int:
    args = parse_args()
    start = time.monotonic()
    print('== the mini set, in data/mini', flush=True)
    make_mini(ROOT / 'data/mini')
    results, scalars = {}, {}
    for title, method in METHODS.items():
        print(f'== {title}: train, select on the sources, test on '
              f'{args.target}', flush=True)
        experiment = Experiment(method, 'mini', args.target, args.seed,
                                OPTIONS)
        results[title] = run_experiment(
            experiment, ROOT, args.out,
            lambda line: print(line, flush=True))
        scalars[title] = read_scalars(args.out / experiment.name)
    accuracy = args.out / 'accuracy.png'
    balance = args.out / 'balance.png'
    curves.plot(
        dict(runs={title: accuracy_curves(scalars[title], target_of(result))
                   for title, result in results.items()}), accuracy)
    dominance.plot(
        dict(runs={title: dominance_numbers(log)
                   for title, log in scalars.items()}), balance)
    print(f'\nTop-1 (%), sources validated and {args.target} unseen, one '
          f'seed:\n\n{demo_table(results)}\n')
    print(f'Pictures: {accuracy} and {balance}')
    print(f'Done in {time.monotonic() - start:.0f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
