"""Write sound tracks as wav: python tools/data/extract_audio.py MANIFEST.

For each video of a manifest that names no sound file. What is done is left
alone, so that an interrupted run is continued by the same command.
"""
import argparse
import sys

from mbcd_mmaction.datasets.extraction import command
from mbcd_mmaction.datasets.extraction.from_manifest import extract_audio


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write the sound of the videos of a manifest as 16 kHz '
        'mono wav files')
    command.add_common_arguments(parser)
    parser.add_argument('--silence-ok', action='store_true',
                        help='a video without sound gives silence instead of '
                        'a failure')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    return command.run_command(
        lambda: extract_audio(
            args.manifest, silence_ok=args.silence_ok,
            **command.common_options(args)), 'videos')


if __name__ == '__main__':
    sys.exit(main())
