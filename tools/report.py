"""The comparison of methods as tables, figures and one HTML page.

    python tools/report.py work_dirs/benchmark/results.jsonl --out DIR

docs/report.md says what the tables hold and what the tests assume.
"""
import argparse
import shlex
import sys
from pathlib import Path

from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report.write import write_report


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('records', nargs='+', metavar='results.jsonl',
                        help='records of runs; later files and lines '
                        'supersede earlier ones')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder of the report')
    parser.add_argument('--dataset', nargs='+', metavar='NAME',
                        help='only these sets (epic, hac, mini, ...)')
    parser.add_argument('--figures', type=Path, metavar='DIR',
                        help='further figures: NAME.png, with a caption in '
                        'NAME.json')
    parser.add_argument('--page', type=Path, metavar='FILE.md',
                        help='write the Markdown page there too, without '
                        'figures')
    return parser.parse_args(arguments)


def main() -> int:
    args = parse_args()
    command = shlex.join(['python', 'tools/report.py', *sys.argv[1:]])
    try:
        records = read_records(args.records)
        report, files = write_report(records, args.out, command, args.dataset,
                                     args.figures, args.page)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{len(report.layouts)} tables of {len(report.runs)} runs, '
          f'{len(records.failed)} failed; {len(files)} files written, the '
          f'page to open is {args.out / "report.html"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
