"""Re-encode a set for quick reading: python tools/data/reencode.py IN OUT.

Writes every video below IN (RGB and flow: mp4, m4v, mov, mkv) to the same
place below OUT as h264 with a key frame every 16 frames and no B frames, so
that a window of frames is found without decoding what lies long before it.
Everything else, sound and annotations, is copied. IN is left as it is.

What is lost: a little of the picture, by a second lossy encoding on top of
the first (--crf 0 loses nothing of 8-bit video, and is large); subtitles and
further video streams. What is not: number and time stamps of frames, their
size and orientation, and the sound, whose packets are copied. This is
checked for each file; where it does not hold, the file is reported and not
written. What is done is left alone, so that an interrupted run is continued
by the same command.
"""
import argparse
import sys

from mbcd_mmaction.datasets.extraction import command
from mbcd_mmaction.datasets.extraction.reencode import reencode_set
from mbcd_mmaction.datasets.extraction.reencode_video import TUNES


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='IN', help='folder of the set')
    parser.add_argument('target', metavar='OUT',
                        help='folder for the new set, not in IN')
    parser.add_argument('--gop', type=int, default=16, metavar='N',
                        help='frames from one key frame to the next '
                        '(default: 16)')
    parser.add_argument('--crf', type=int, default=20,
                        help="x264's constant rate factor, lower is better, "
                        '0 is lossless (default: 20)')
    parser.add_argument('--tune', choices=TUNES, default='fastdecode',
                        help='fastdecode: quicker to decode, somewhat '
                        'larger (default: fastdecode)')
    parser.add_argument('--jobs', type=int, metavar='N',
                        help='processes (default: the cores)')
    parser.add_argument('--overwrite', action='store_true',
                        help='also redo what is done')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    return command.run_command(
        lambda: reencode_set(
            args.source, args.target, gop=args.gop, crf=args.crf,
            tune=args.tune, workers=args.jobs, overwrite=args.overwrite),
        'files')


if __name__ == '__main__':
    sys.exit(main())
