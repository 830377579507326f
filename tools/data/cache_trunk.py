"""Store the frozen trunks' features: python tools/data/cache_trunk.py CONFIG.

A training that reads them runs neither decoder nor trunk. The size on disk is
said first; what is done is left alone, so that an interrupted run is
continued by the same command. See docs/trunk_cache.md.
"""
import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.logging import MMLogger

from mbcd_mmaction.apis.cache_trunk import (
    build_model,
    make_plans,
    say_size,
    write_cache,
)
from mbcd_mmaction.apis.cache_trunk.plan import DTYPES
from mbcd_mmaction.apis.modalities import follow_modalities


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Store the features of a config's frozen trunks")
    parser.add_argument('config')
    parser.add_argument('--cache', type=Path,
                        help='folder to write to (default: '
                        'work_dirs/<name of the config>/trunk_cache)')
    parser.add_argument('--splits', nargs='+', default=['train', 'val'],
                        choices=['train', 'val', 'test'],
                        help='(default: train val)')
    parser.add_argument('--views', type=int, default=4, metavar='K',
                        help='augmented views of each training clip '
                        '(default: 4)')
    parser.add_argument('--precision', choices=list(DTYPES), default='fp16',
                        help='of the stored features (default: fp16)')
    parser.add_argument('--weights', metavar='CHECKPOINT',
                        help="the whole model's weights (default: load_from "
                        "of the config, else the branches' own)")
    parser.add_argument('--seed', type=int, default=0,
                        help='of the views (default: 0)')
    parser.add_argument('--batch-size', type=int, default=16, metavar='N')
    parser.add_argument('--workers', type=int, default=2, metavar='N',
                        help='processes that read clips (default: 2)')
    parser.add_argument('--device', default=get_device(),
                        help='(default: %(default)s)')
    parser.add_argument('--dry-run', action='store_true',
                        help='say the size and write nothing')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='override settings, as in tools/train.py')
    return parser.parse_args()


def run(args: argparse.Namespace) -> int:
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    cfg = follow_modalities(cfg, args.cfg_options)
    cache = args.cache or Path('work_dirs', Path(args.config).stem,
                               'trunk_cache')
    # else the host lists how each tensor was initialised
    MMLogger.get_instance('cache_trunk', log_level='WARNING')
    model = build_model(cfg, args.weights, args.device)
    plans = make_plans(cfg, model, cache, args.splits, args.views,
                       args.precision, args.seed)
    text, fits = say_size(plans, cache)
    print(text, flush=True)
    if args.dry_run:
        return 0
    if not fits:
        print('there is no room for it: fewer --views, --precision fp16 or '
              'another --cache', file=sys.stderr)
        return 2
    for plan in plans:
        count = write_cache(plan, model, args.batch_size, args.workers,
                            _progress if sys.stderr.isatty() else None)
        print(f'{plan.split}: {count} rows written, '
              f'{plan.description.rows - count} were there before')
    print('train from it with --cfg-options ' + ' '.join(
        f'{plan.split}_dataloader.dataset.trunk_cache={plan.folder}'
        for plan in plans))
    return 0


def _progress(done: int, rows: int) -> None:
    print(f'\r{done} of {rows} rows', end='' if done < rows else '\n',
          file=sys.stderr, flush=True)


def main() -> int:
    try:
        return run(parse_args())
    # a clip that a loader's worker cannot read arrives as a RuntimeError
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped; what is stored stays, and the same command goes on '
              'from there', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
