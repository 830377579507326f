"""ERM, EMA and MBCD on every target of the mini set, several seeds each.

    python benchmarks/mini.py --jobs 2

Each run trains on two domains, selects its checkpoint on their validation
split and is tested once on the third. Finished runs are read back, so that
an interrupted benchmark goes on where it stopped. The results go to
``benchmarks/results/mini.jsonl`` and, as tables, to ``docs/results_mini.md``;
a part of the runs must be sent elsewhere with --results and --page.
"""
import argparse
import json
import sys
from pathlib import Path

from mbcd_mmaction.analysis.tables import results_page
from mbcd_mmaction.apis.experiment import Experiment, run_all, run_experiment
from mbcd_mmaction.datasets.mini import make_mini

METHODS = {'erm': 'ERM', 'ema': 'EMA', 'mbcd': 'MBCD'}
TARGETS = ['D1', 'D2', 'D3']
SEEDS = [0, 1, 2]
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks/results/mini.jsonl'
PAGE = ROOT / 'docs/results_mini.md'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--methods', nargs='+', default=list(METHODS),
                        choices=list(METHODS))
    parser.add_argument('--targets', nargs='+', default=TARGETS,
                        choices=TARGETS)
    parser.add_argument('--seeds', nargs='+', type=int, default=SEEDS)
    parser.add_argument('--jobs', type=int, default=1,
                        help='runs at once, each on one core')
    parser.add_argument('--work-dir', type=Path,
                        default=ROOT / 'work_dirs/mini')
    parser.add_argument('--results', type=Path, default=RESULTS)
    parser.add_argument('--page', type=Path, default=PAGE)
    args = parser.parse_args()
    whole = (set(args.methods), set(args.targets), set(args.seeds)) == (
        set(METHODS), set(TARGETS), set(SEEDS))
    if not whole and args.results.resolve() == RESULTS:
        parser.error('a part of the runs would overwrite the whole table: '
                     'name other files with --results and --page')
    if not whole and args.page.resolve() == PAGE:
        parser.error('a part of the runs would overwrite the whole page: '
                     'name another file with --page')
    return args


def main() -> int:
    args = parse_args()
    make_mini(ROOT / 'data/mini')
    experiments = [
        Experiment(method, 'mini', target, seed) for seed in args.seeds
        for target in args.targets for method in args.methods
    ]
    done, failed = run_all(
        experiments,
        lambda experiment: run_experiment(experiment, ROOT, args.work_dir,
                                          env={'OMP_NUM_THREADS': '1'}),
        args.jobs)
    if failed:
        print(f'{len(failed)} runs failed; no table is written',
              file=sys.stderr)
        return 1
    done.sort(key=lambda r: (r['seed'], r['target'], r['method']))
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(
        ''.join(json.dumps(result) + '\n' for result in done))
    command = ' '.join(['python benchmarks/mini.py', *sys.argv[1:]])
    page = results_page(done, METHODS, command)
    args.page.write_text(page)
    print(f'\n{page}\n{args.results} and {args.page} written')
    return 0


if __name__ == '__main__':
    sys.exit(main())
