"""What the tools of a figure share: their runs, and what they write.

A tool in ``tools/analysis`` is given one or more trained models as
``NAME=CONFIG:CHECKPOINT`` (:func:`add_figure_arguments`), opens each
(:func:`open_run`), measures, and hands a :class:`Figure` to
:func:`write_figure`. That writes ``<out>/<name>.json``, then
``<out>/<name>.csv``, and has ``analysis/pictures/<name>.py`` draw
``<out>/<name>.png``: its ``plot(numbers, path)`` is given the JSON's
``numbers`` and nothing else, so that a picture can be drawn again from the
file.
"""
import argparse
import csv
import hashlib
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from ...models import MultiModalRecognizer
from ...version import __version__
from .trained import load_trained, read_config

__all__ = [
    'SPLITS', 'Figure', 'Run', 'UniqueRuns', 'add_figure_arguments',
    'open_run', 'parse_run', 'portable', 'portable_options', 'settings_of',
    'write_figure'
]

# for captions
SPLITS = dict(val='the validation split of the sources',
              test='the test split of the target')


@dataclass(frozen=True)
class Run:
    """One trained model of a figure.

    Attributes:
        name (str): What the figure calls it.
        config (str): Path of its config.
        checkpoint (str): Path of its checkpoint.
        student (bool): Whether the student is meant, not the average.
    """
    name: str
    config: str
    checkpoint: str
    student: bool = False

    def describe(self) -> dict[str, Any]:
        """For the JSON: no folder of this machine, but what tells files
        apart."""
        content = hashlib.sha256(Path(self.checkpoint).read_bytes())
        return dict(config=portable(self.config),
                    checkpoint=Path(self.checkpoint).name,
                    sha256=content.hexdigest()[:16], student=self.student)


@dataclass
class Figure:
    """The numbers of a figure.

    Attributes:
        name (str): Stem of the files, e.g. 'noise'.
        caption (str): What is seen, in a sentence or two.
        runs (list): What it is of: each a :class:`Run`, or another thing
            with a ``name`` and ``describe()``.
        settings (dict): What it was measured with, e.g. the seed.
        numbers (dict): By the name of a run; whatever JSON can hold.
        rows (list): The table, one dict of cells a row; a cell that a row
            is without is empty.
    """
    name: str
    caption: str
    runs: Sequence[Any]
    settings: Mapping[str, Any]
    numbers: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)


def parse_run(text: str) -> Run:
    """Read ``NAME=CONFIG:CHECKPOINT`` or ``NAME=CONFIG:CHECKPOINT:student``.

    The checkpoint may be a pattern that one file matches, as
    ``work_dirs/run/best_*.pth``.

    Raises:
        argparse.ArgumentTypeError: It reads otherwise, or the pattern
            matches another number of files.
    """
    name, _, rest = text.partition('=')
    config, *parts = rest.split(':')
    if not (name and config and parts and parts[0]
            and parts[1:] in ([], ['student'])):
        raise argparse.ArgumentTypeError(
            'expected NAME=CONFIG:CHECKPOINT, with :student behind it for '
            f'the student in place of the averaged model, got {text!r}')
    checkpoint = parts[0]
    if not Path(checkpoint).is_file():
        found = glob(checkpoint)
        if len(found) != 1:
            raise argparse.ArgumentTypeError(
                f'{name}: expected one checkpoint at {checkpoint}, found '
                f'{sorted(found) or "none"}; tools/train.py writes them to '
                'its work directory')
        checkpoint, = found
    return Run(name, config, checkpoint, bool(parts[1:]))


class UniqueRuns(argparse.Action):
    """Keeps the runs of a command, each under a name of its own."""

    def __call__(self, parser, namespace, values, option_string=None):
        names = [run.name for run in values]
        if len(set(names)) < len(names):
            parser.error('expected runs of different names, got '
                         f'{", ".join(names)}')
        setattr(namespace, self.dest, values)


def add_figure_arguments(parser: argparse.ArgumentParser,
                         split: str | None = 'test',
                         max_clips: int | None = None) -> None:
    """The arguments of a tool that compares trained models.

    Args:
        parser (argparse.ArgumentParser): Changed in place: ``runs``,
            ``--cfg-options``, ``--split``, ``--max-clips``, ``--seed`` and
            ``--out``.
        split (str, optional): Default of ``--split``; None for a tool that
            has no such choice. Defaults to 'test'.
        max_clips (int, optional): Default of ``--max-clips``. Defaults to
            None: all clips.
    """
    parser.add_argument(
        'runs', nargs='+', type=parse_run, action=UniqueRuns,
        metavar='NAME=CONFIG:CHECKPOINT[:student]',
        help='trained models; the checkpoint may be a pattern of one file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='as in tools/test.py, for every run')
    if split is not None:
        parser.add_argument(
            '--split', choices=['val', 'test'], default=split,
            help='val: the sources; test: the unseen target (default: '
            '%(default)s)')
    parser.add_argument('--max-clips', type=int, default=max_clips,
                        help='at most so many clips, spread over the split '
                        f'(default: {max_clips or "all"})')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path,
                        default=Path('work_dirs/figures'),
                        help='folder of the JSON, the CSV and the picture '
                        '(default: %(default)s)')


def open_run(run: Run, args: argparse.Namespace
             ) -> tuple[Config, MultiModalRecognizer]:
    """A run's config and its model, in eval mode."""
    cfg = read_config(run.config, args.cfg_options)
    return cfg, load_trained(cfg, run.checkpoint, run.student)


def settings_of(args: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """The shared arguments that numbers depend on, and a tool's own."""
    names = ('split', 'max_clips', 'seed')
    found = {name: getattr(args, name) for name in names
             if hasattr(args, name)}
    if hasattr(args, 'cfg_options'):
        found['cfg_options'] = portable_options(args.cfg_options)
    return {**found, **more}


def write_figure(figure: Figure, out: str | Path) -> dict[str, Any]:
    """Write the numbers, then draw them.

    Without matplotlib the numbers are there, and stderr says what to
    install for the picture.

    Args:
        figure (Figure): What was measured.
        out (str | Path): A folder; it is made.

    Returns:
        dict: What stands in the JSON.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f'{figure.name}.json'
    text = json.dumps(
        dict(figure=figure.name, caption=figure.caption,
             runs={run.name: run.describe() for run in figure.runs},
             settings=dict(figure.settings),
             versions=dict(mbcd_mmaction=__version__),
             numbers=figure.numbers), indent=1)
    path.write_text(text + '\n', encoding='utf-8')
    print(f'numbers: {path}')
    if figure.rows:
        table = path.with_suffix('.csv')
        with table.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(
                name for row in figure.rows for name in row)))
            writer.writeheader()
            writer.writerows(figure.rows)
        print(f'table: {table}')
    written = json.loads(text)
    try:
        picture = importlib.import_module(
            f'mbcd_mmaction.analysis.pictures.{figure.name}')
    except ImportError as error:
        print(f'no picture: {error}', file=sys.stderr)
        return written
    picture.plot(written['numbers'], path.with_suffix('.png'))
    print(f'picture: {path.with_suffix(".png")}')
    return written


def portable_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of a config without folders of this machine."""
    return {name: _portable_value(value)
            for name, value in (options or {}).items()}


def _portable_value(value: Any) -> Any:
    """What an option holds, with each path in it made portable."""
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, Mapping):
        return portable_options(value)
    if isinstance(value, list | tuple):
        return [_portable_value(item) for item in value]
    return value


def portable(path: str) -> str:
    """A path as given; of an absolute one the last folder and the file."""
    if not Path(path).is_absolute():
        return path
    return Path(*Path(path).parts[-2:]).as_posix()
