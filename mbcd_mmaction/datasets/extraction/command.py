"""What tools/data/extract_flow.py and extract_audio.py have in common."""
import argparse
import sys
import time
from collections.abc import Callable

from .jobs import Report

_SHOWN = 20


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of both tools.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
    """
    parser.add_argument('manifest', help='manifest of the set (CSV or JSON '
                        'Lines), see docs/own_data.md')
    parser.add_argument('--data-root', help='folder to which its paths are '
                        "relative (default: the manifest's own)")
    parser.add_argument('--cache', help='folder for what is computed '
                        '(default: derived/ in the data root)')
    parser.add_argument('--jobs', type=int, metavar='N',
                        help='processes (default: the cores)')
    parser.add_argument('--overwrite', action='store_true',
                        help='also redo what is done')


def common_options(args: argparse.Namespace) -> dict:
    """The parsed common flags as keyword arguments of the work."""
    return dict(data_root=args.data_root, cache=args.cache,
                workers=args.jobs, overwrite=args.overwrite)


def run_command(work: Callable[[], Report], noun: str) -> int:
    """Do the work, say what became of it, and give the exit status.

    Args:
        work (Callable): Does everything and returns the report.
        noun (str): What is counted, in the plural.

    Returns:
        int: 0 if all is done, 1 if some failed, 2 if the work cannot be
        done as it was asked for, 130 after Ctrl-C.
    """
    begin = time.perf_counter()
    try:
        report = work()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nstopped; what is finished stays, and the same command goes '
              'on from there', file=sys.stderr)
        return 130
    print(f'{report.num_done} {noun} done, {report.num_skipped} were done '
          f'before, {len(report.failures)} failed; '
          f'{time.perf_counter() - begin:.1f} s')
    if report.failures:
        print(failure_table(report))
    return 1 if report.failures else 0


def failure_table(report: Report) -> str:
    """The failures as lines of text; all of them are in failures.jsonl."""
    shown = report.failures[:_SHOWN]
    width = max(len(failure.name) for failure in shown)
    lines = [f'  {failure.name:<{width}}  {failure.reason}'
             for failure in shown]
    if len(report.failures) > _SHOWN:
        lines.append(f'  and {len(report.failures) - _SHOWN} more')
    lines.append(f'  with their files in {report.failure_file}')
    return '\n'.join(lines)
