"""What docs/figures.md shows works as it stands."""
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from figure_pages import commands_of, parse
from shipped import ROOT

from mbcd_mmaction.analysis.flatness import SMALLEST, cross_entropy

TEXT = (ROOT / 'docs/figures.md').read_text()
COMMANDS = commands_of(TEXT)
TRAININGS = [c for c in COMMANDS if ' tools/train.py ' in c]
FIGURES = [c for c in COMMANDS if ' tools/analysis/' in c]
OTHER_PAGE = commands_of((ROOT / 'docs/robustness.md').read_text())


def test_there_are_commands():
    assert len(TRAININGS) == 4
    assert len(TRAININGS) + len(FIGURES) == len(COMMANDS)
    tools = {Path(shlex.split(c)[1]) for c in [*FIGURES, *OTHER_PAGE]}
    assert {path.name for path in tools
            if path.parent == Path('tools/analysis')} == {
                path.name for path in (ROOT / 'tools/analysis').glob('*.py')}


@pytest.mark.parametrize('command', TRAININGS)
def test_trainings(command, monkeypatch, tmp_path):
    args = parse(command, monkeypatch, tmp_path)
    assert (ROOT / args.config).is_file()
    kept = (args.cfg_options or {}).get(
        'default_hooks.checkpoint.max_keep_ckpts')
    assert kept in (None, -1)
    end = '/best_*.pth' if kept is None else ''
    assert re.search(re.escape(f'{args.config}:{args.work_dir}{end}')
                     + r'["\s]', TEXT)


@pytest.mark.parametrize('command', FIGURES,
                         ids=lambda c: Path(shlex.split(c)[1]).stem)
def test_figures(command, monkeypatch, tmp_path):
    args = parse(command, monkeypatch, tmp_path)
    assert len(args.runs) >= 2
    trained = {(c.split()[2], c.split()[4]) for c in TRAININGS}
    for run in args.runs:
        if not run.config:  # of its log alone
            assert run.work_dir in {work_dir for _, work_dir in trained}
            continue
        folder = getattr(run, 'work_dir', None) or (
            Path(run.checkpoint).parent.as_posix())
        assert (run.config, folder) in trained
    assert str(args.out) in TEXT


def test_each_section_says_what_it_must():
    sections = re.split(r'^## ', TEXT, flags=re.M)[1:]
    assert len(sections) == len(FIGURES)
    for section in sections:
        assert 'tools/analysis/' in section
        for part in ('**To read it:**', '**Limits:**', '?', '\n    '):
            assert part in section, part


def test_defaults(monkeypatch, tmp_path):
    """The numbers that the text says are the tools' own."""
    args = {Path(shlex.split(c)[1]).stem:
            parse(c, monkeypatch, tmp_path) for c in FIGURES}
    assert args['flatness'].directions == 5 and 'five (`--directions`' in TEXT
    assert f'`--max-clips` is {args["flatness"].max_clips}' in TEXT
    assert args['flatness'].split == 'val'
    assert f'`--perplexity` {args["tsne"].perplexity:g}' in TEXT
    assert args['noise'].scale == 'clip'
    assert f'{SMALLEST:.1e} counts as that' in TEXT.replace('\n', ' ')
    top = cross_entropy(np.array([[0.0]]), [0])
    assert f'L ends at {top:.1f}' in TEXT
