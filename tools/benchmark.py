"""Run the experiments of a protocol and append one record each to a file.

    python tools/benchmark.py benchmarks/protocols/mini.yaml --jobs 2

Each trains on the sources, selects its checkpoint on them, and tests it once
on the target. What is recorded already is not run again; what was cut off
goes on; what failed is tried again. See docs/benchmark.md.
"""
import argparse
import shlex
import signal
import sys
from pathlib import Path

from mbcd_mmaction.apis.benchmark.campaign import Job, missing, run_here
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.apis.benchmark.protocol import read_protocol
from mbcd_mmaction.apis.benchmark.running import run_options
from mbcd_mmaction.datasets.mini import make_mini

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('protocols', nargs='+', type=Path, metavar='protocol',
                        help='YAML files, as in benchmarks/protocols')
    parser.add_argument('--results', type=Path,
                        default=ROOT / 'work_dirs/benchmark/results.jsonl',
                        help='file of records, appended to')
    parser.add_argument('--work-dir', type=Path,
                        default=ROOT / 'work_dirs/benchmark',
                        help='folder of logs and checkpoints')
    parser.add_argument('--jobs', type=int, default=1,
                        help='runs at once; cores and GPUs are shared out')
    parser.add_argument('--gpus', type=int, default=1,
                        help='GPUs of one run; above 1 they share the batch')
    parser.add_argument('--executor', choices=['slurm', 'local'],
                        help='submit jobs: to Slurm, or as processes of this '
                        'machine; without it, runs are part of this process')
    parser.add_argument('--slurm', nargs='+', default=[], metavar='K=V',
                        help="how Slurm is asked, in submitit's words: "
                        'partition=gpu timeout_min=600 cpus_per_task=16')
    parser.add_argument('--dry-run', action='store_true',
                        help='print the commands and run nothing')
    args = parser.parse_args()
    if args.jobs < 1 or args.gpus < 0:
        parser.error('expected --jobs of at least 1 and --gpus of at least 0')
    if args.slurm and args.executor != 'slurm':
        parser.error('--slurm goes with --executor slurm')
    return args


def main() -> int:
    args = parse_args()
    try:
        experiments = list(dict.fromkeys(
            experiment for path in args.protocols
            for experiment in read_protocol(path, ROOT)))
        todo = missing(experiments, ROOT, args.results)
        for experiment in todo:  # else each would fail by itself
            run_options(experiment, ROOT, args.gpus)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{len(experiments)} experiments, '
          f'{len(experiments) - len(todo)} recorded', flush=True)
    if args.dry_run:
        for experiment in todo:
            print_commands(experiment, args)
        return 0
    if any(experiment.dataset == 'mini' for experiment in todo):
        make_mini(ROOT / 'data/mini')
    # So that `kill` ends the trainings too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    job = Job(ROOT, args.work_dir.resolve(), args.results.resolve(),
              args.gpus)
    try:
        done, failed = run(todo, job, args)
    except KeyboardInterrupt:
        print('interrupted: the same command goes on', file=sys.stderr)
        return 130
    except (ImportError, NameError, RuntimeError, ValueError) as error:
        # No submitit or Slurm, or one that refuses: nothing ran.
        print(error, file=sys.stderr)
        return 2
    left = len(todo) - len(done) - len(failed)
    print(f'{args.results}: {len(failed)} of {len(todo)} failed' +
          (f', {left} left to another process' if left else ''))
    return 1 if failed or left else 0


def run(experiments: list[Experiment], job: Job,
        args: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """In this process, or as jobs."""
    if args.executor is None:
        return run_here(experiments, job, args.jobs)
    from mbcd_mmaction.apis.benchmark.cluster import (
        parse_parameters,
        run_on_cluster,
    )
    return run_on_cluster(experiments, job, args.executor, args.jobs,
                          parse_parameters(args.slurm))


def print_commands(experiment: Experiment,
                   args: argparse.Namespace) -> None:
    """The training and the test, as they would be called in the root."""
    work_dir = args.work_dir.resolve() / experiment.name
    if work_dir.is_relative_to(ROOT):
        work_dir = work_dir.relative_to(ROOT)
    best = work_dir / 'best_acc_top1_epoch_*.pth'
    extra = run_options(experiment, ROOT, args.gpus)
    for command in (
            experiment.train_command(work_dir, args.gpus, extra),
            experiment.test_command(work_dir, best, args.gpus)):
        python = ['python'] if command[0].endswith('.py') else []
        # the star is for the shell: unquoted
        print(' '.join(
            f'{shlex.quote(str(work_dir))}/{best.name}'
            if word == str(best) else shlex.quote(word)
            for word in [*python, *command]))


if __name__ == '__main__':
    sys.exit(main())
