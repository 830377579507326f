"""Train a recognizer: MMAction2's tools/train.py with the same flags.

Beyond it: absent media stop the run before a model is built, several
processes and ``--amp`` work without a GPU, and ``--seed`` wins over the
config.
"""
import argparse
import sys

from mmengine.config import Config

# Importing the package also cures the host, before a config is read.
from mbcd_mmaction.apis import cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train an action recognizer')
    parser.add_argument('config', help='train config file path')
    cli.add_common_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', type=str, const='auto',
        help='resume from this checkpoint, or, without a path, from the '
        'latest one in the work directory')
    parser.add_argument(
        '--amp', action='store_true',
        help='train in mixed precision: float16 with a loss scaler on a GPU, '
        'bfloat16 without one')
    parser.add_argument('--no-validate', action='store_true',
                        help='do not evaluate checkpoints while training')
    parser.add_argument(
        '--auto-scale-lr', action='store_true',
        help='scale the learning rate by the actual over the original batch '
        'size')
    parser.add_argument('--seed', type=int, default=None, help='random seed')
    parser.add_argument('--diff-rank-seed', action='store_true',
                        help='give each rank a seed of its own')
    parser.add_argument('--deterministic', action='store_true',
                        help='ask CUDNN for deterministic algorithms')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    cfg = cli.merge_train_args(Config.fromfile(args.config), args)
    return cli.run_tool(cfg, ('train', 'val'), lambda runner: runner.train())


if __name__ == '__main__':
    sys.exit(main())
