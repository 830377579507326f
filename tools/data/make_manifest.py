"""List videos in folders: python tools/data/make_manifest.py FOLDER.

FOLDER/DOMAIN/CLASS/*.mp4 (or any other video) becomes FOLDER/manifest.csv,
and the classes are printed as the config wants them.
"""
import argparse
import sys
from pathlib import Path

from mbcd_mmaction.datasets.extraction.folder_tree import (
    list_videos,
    summary,
    write_rows,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Make a manifest of the videos in FOLDER/DOMAIN/CLASS/')
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path,
                        help='file to write (default: manifest.csv in the '
                        'folder; elsewhere, give the tools --data-root)')
    parser.add_argument('--test-share', type=float, default=.2, metavar='X',
                        help='share of the test split, 0 for none (default: '
                        '0.2). By name: most stay in their split when others '
                        'come')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a manifest that exists, with what was '
                        'edited in it')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    path = args.out or args.folder / 'manifest.csv'
    if path.exists() and not args.overwrite:
        print(f'{path} exists and is left alone; --overwrite replaces it',
              file=sys.stderr)
        return 2
    try:
        rows = list_videos(args.folder, args.test_share)
        write_rows(path, rows)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{path}: {len(rows)} videos\n{summary(rows)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
