"""What the step's shortcuts cost in accuracy, on the mini set.

    python benchmarks/options.py --jobs 2

The shortcuts are about a frozen trunk, which the mini set's networks do not
have by themselves. So for each target an ERM is trained on the sources first;
its backbones are then the pretrained weights of MBCD with a frozen trunk, all
but the last stage, as at full size. Every shortcut is one or two lines of
config more. Finished runs are read back. Results go to ``--results``, one
line of JSON each, and as a table to the terminal.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from mbcd_mmaction.analysis.tables import markdown
from mbcd_mmaction.apis.benchmark.campaign import run_all
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.apis.benchmark.processes import Tools
from mbcd_mmaction.apis.benchmark.running import run_experiment
from mbcd_mmaction.datasets.mini import make_mini

ROOT = Path(__file__).resolve().parents[1]
MODALITIES = ('video', 'flow', 'audio')
# Each epoch can be selected, as at full size; the mini set's schedule
# validates every third.
VALIDATED = 'train_cfg.val_interval=1'
EXACT = 'exact'
CACHED = 'train_dataloader.dataset.trunk_cache={{cache}}/views{views}/train'
VARIANTS = {
    EXACT: (),
    'bf16-trunk': ('model.trunk.precision=bf16', ),
    'bf16-all': ('optim_wrapper.type=CPUAmpOptimWrapper', ),
    'folded-norms': ('model.trunk.fold_norm=True', ),
    'channels-last': ('model.trunk.channels_last=True', ),
    'compiled-trunk': ('model.trunk.compile=True', ),
    'consistency-every-2nd': ('custom_hooks.0.every=2', ),
    'distillation-every-2nd': ('custom_hooks.1.distill_every=2', ),
    'cached-4-views': (CACHED.format(views=4), ),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--variants', nargs='+', default=list(VARIANTS),
                        choices=list(VARIANTS))
    parser.add_argument('--targets', nargs='+', default=['D1', 'D2', 'D3'],
                        choices=['D1', 'D2', 'D3'])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--jobs', type=int, default=1,
                        help='runs at once, each on one core')
    parser.add_argument('--work-dir', type=Path,
                        default=ROOT / 'work_dirs/options')
    parser.add_argument('--results', type=Path, metavar='FILE.jsonl',
                        default=ROOT / 'work_dirs/options/results.jsonl',
                        help='written anew, by the runs of this call')
    args = parser.parse_args()
    if EXACT not in args.variants:
        parser.error(f'{EXACT!r} is what the others are compared with')
    return args


def main() -> int:
    args = parse_args()
    args.work_dir = args.work_dir.resolve()
    make_mini(ROOT / 'data/mini')
    tools = Tools(ROOT)

    def run(experiment: Experiment) -> dict:
        return run_experiment(experiment, ROOT, args.work_dir,
                              env={'OMP_NUM_THREADS': '1'}, tools=tools)

    first = [Experiment('erm', 'mini', target, 0, (VALIDATED, ), 'every')
             for target in args.targets]
    _, failed = run_all(first, run, args.jobs, tools.stop)
    if failed:
        print(f'no pretrained weights: {failed}', file=sys.stderr)
        return 1
    weights = {e.target: only_checkpoint(args.work_dir / e.name)
               for e in first}
    caches = {target: args.work_dir / f'cache_{target.lower()}'
              for target in args.targets}
    for target in args.targets:
        for name in args.variants:
            if name.startswith('cached'):
                make_cache(target, weights[target], caches[target],
                           int(name.split('-')[1]))
    experiments = [
        Experiment('mbcd', 'mini', target, seed, tuple(
            [VALIDATED, *frozen(weights[target])] + [
                option.format(cache=caches[target])
                for option in VARIANTS[name]]), name)
        for seed in args.seeds for target in args.targets
        for name in args.variants
    ]
    done, failed = run_all(experiments, run, args.jobs, tools.stop)
    for result in done:
        del result['options']  # they name folders of this machine
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(
        ''.join(json.dumps(result) + '\n' for result in done))
    print(f'\n{table(done)}\n\n{args.results} written')
    return 1 if failed else 0


def only_checkpoint(work_dir: Path) -> Path:
    """The selected checkpoint of a training."""
    checkpoint, = work_dir.glob('best_acc_top1_epoch_*.pth')
    return checkpoint


def frozen(checkpoint: Path) -> list[str]:
    """Options that freeze all but the last stage, at given weights."""
    options = []
    for m in MODALITIES:
        branch = f'model.branches.{m}'
        options += [
            f'{branch}.trunk_stages=3',
            f'{branch}.backbone.init_cfg.type=Pretrained',
            f'{branch}.backbone.init_cfg.checkpoint={checkpoint}',
            f'{branch}.backbone.init_cfg.prefix=branches.{m}.backbone.'
        ]
    return options


def make_cache(target: str, checkpoint: Path, folder: Path,
               views: int) -> None:
    """The trunks' features of the training split, on disk."""
    subprocess.run(
        [sys.executable, 'tools/data/cache_trunk.py',
         f'configs/mbcd/mini_{target.lower()}.py', '--views', str(views),
         '--cache', str(folder / f'views{views}'), '--splits', 'train',
         '--cfg-options', *frozen(checkpoint)], cwd=ROOT, check=True)


def table(results: list[dict]) -> str:
    """Variants by accuracy, and the difference to exact, cell by cell."""
    cells = {(r['variant'], r['target'], r['seed']): r for r in results}
    targets = sorted({r['target'] for r in results})
    rows = []
    for name in dict.fromkeys(r['variant'] for r in results):
        own = [r for r in results if r['variant'] == name]
        pairs = [(r, cells[EXACT, r['target'], r['seed']]) for r in own
                 if (EXACT, r['target'], r['seed']) in cells]
        row = [name]
        for target in targets:
            row.append(percent([top1(r) for r in own
                                if r['target'] == target]))
        row.append(percent([top1(r) for r in own]))
        row.append(percent([top1(r, 'source') for r in own]))
        gain = [top1(a) - top1(b) for a, b in pairs]
        # + 0: not '-0.0'
        row.append(f'{round(100 * fmean(gain), 1) + 0:+.1f}' if gain else '')
        rows.append(row)
    return markdown(['variant', *targets, 'average', 'source', 'to exact'],
                    rows)


def top1(result: dict, part: str = 'target') -> float:
    """Fused accuracy of a run, in [0, 1]."""
    return result[f'{part}_metrics']['acc/top1']


def percent(values: list[float]) -> str:
    """Their mean in per cent; '-' for none."""
    return f'{100 * fmean(values):.1f}' if values else '-'


if __name__ == '__main__':
    sys.exit(main())
