"""Test a checkpoint: MMAction2's tools/test.py with the same flags.

Beyond it: absent media or an absent checkpoint stop the run before a model is
built, and several processes work without a GPU.
"""
import argparse
import os
import sys

from mmengine.config import Config

# Importing the package also cures the host, before a config is read.
from mbcd_mmaction.apis import cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Test (and evaluate) an action recognizer')
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    cli.add_common_arguments(parser)
    parser.add_argument(
        '--dump', type=str,
        help='dump predictions to a pickle file for offline evaluation')
    parser.add_argument('--show-dir',
                        help='directory where pictures will be saved')
    parser.add_argument('--show', action='store_true',
                        help='show the predictions in a window')
    parser.add_argument('--interval', type=int, default=1,
                        help='show every so many samples')
    parser.add_argument('--wait-time', type=float, default=2,
                        help='display time of every window (seconds)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if ':/' not in args.checkpoint and not os.path.isfile(args.checkpoint):
        print(f'expected a checkpoint file, found none at {args.checkpoint}; '
              'tools/train.py writes them to its work directory',
              file=sys.stderr)
        return 1
    cfg = cli.merge_test_args(Config.fromfile(args.config), args)
    return cli.run_tool(cfg, ('test', ), lambda runner: runner.test())


if __name__ == '__main__':
    sys.exit(main())
