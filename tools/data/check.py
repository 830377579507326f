"""Look through a set before a training does.

python tools/data/check.py CONFIG [--decode]. Exit status: 0 if the set is
right, 1 if it is not, 2 if the config cannot be loaded.
"""
import argparse
import json
import sys

from mmengine.config import Config, DictAction

from mbcd_mmaction.apis.check_data import check, format_report
from mbcd_mmaction.apis.check_data.check import SPLITS
from mbcd_mmaction.apis.check_data.report import as_json
from mbcd_mmaction.apis.modalities import follow_modalities


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Look through the datasets of a config: files that are '
        'missing, cut off or of another rate, labels out of range, silence, '
        'domains that overlap, clips that stand twice')
    parser.add_argument('config')
    parser.add_argument('--splits', nargs='+', choices=SPLITS,
                        default=list(SPLITS))
    parser.add_argument('--decode', action='store_true',
                        help='also read every clip as a training would')
    parser.add_argument('--content', action='store_true',
                        help='also look for copies under other names')
    parser.add_argument('--strict', action='store_true',
                        help='warnings give exit status 1 too')
    parser.add_argument('--show', type=int, default=5, metavar='N',
                        help='examples of each finding (default: 5)')
    parser.add_argument('--json', metavar='FILE',
                        help='write all findings to this file')
    parser.add_argument('--jobs', type=int, metavar='N',
                        help='processes (default: the cores)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='override settings, as in tools/train.py')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        cfg = Config.fromfile(args.config)
        if args.cfg_options is not None:
            cfg.merge_from_dict(args.cfg_options)
        cfg = follow_modalities(cfg, args.cfg_options)
    except Exception as error:  # whatever a config's own code raises
        print(f'{args.config} cannot be loaded: {type(error).__name__}: '
              f'{error}', file=sys.stderr)
        return 2
    result = check(cfg, args.splits, args.decode, args.content, args.jobs)
    print(format_report(result, args.show))
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as file:
            json.dump(as_json(result), file, indent=1)
    return int(bool(result.errors or args.strict and result.warnings))


if __name__ == '__main__':
    sys.exit(main())
