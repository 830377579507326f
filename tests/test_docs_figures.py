"""What docs/figures.md shows works as it stands."""
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from shipped import ROOT

from mbcd_mmaction.analysis.flatness import SMALLEST, cross_entropy

TEXT = (ROOT / 'docs/figures.md').read_text()
COMMANDS = [line for block in re.findall(r'```bash\n(.*?)```', TEXT, re.S)
            for line in block.splitlines()]
TRAININGS = [c for c in COMMANDS if ' tools/train.py ' in c]
FIGURES = [c for c in COMMANDS if ' tools/analysis/' in c]


def parse(command, monkeypatch, folder):
    """The tool's own parsed flags, in a folder with the trained models."""
    python, tool, *words = shlex.split(command)
    assert python == 'python'
    for word in words:
        found = re.search(r'=(configs/\S+?):(work_dirs/[^:]+)', word)
        if found:
            assert (ROOT / found[1]).is_file()
            path = folder / found[2].replace('*', 'acc_top1_epoch_3')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'argv', [tool, *words])
    return runpy.run_path(str(ROOT / tool))['parse_args']()


def test_there_are_commands():
    assert len(TRAININGS) == 2
    assert len(TRAININGS) + len(FIGURES) == len(COMMANDS)
    tools = {Path(shlex.split(c)[1]).name for c in FIGURES}
    assert tools == {p.name for p in (ROOT / 'tools/analysis').glob('*.py')}


@pytest.mark.parametrize('command', TRAININGS)
def test_trainings(command, monkeypatch, tmp_path):
    args = parse(command, monkeypatch, tmp_path)
    assert (ROOT / args.config).is_file()
    assert f'{args.config}:{args.work_dir}/best_*.pth' in TEXT


@pytest.mark.parametrize('command', FIGURES,
                         ids=lambda c: Path(shlex.split(c)[1]).stem)
def test_figures(command, monkeypatch, tmp_path):
    args = parse(command, monkeypatch, tmp_path)
    assert len(args.runs) >= 2
    trained = dict((c.split()[2], c.split()[4]) for c in TRAININGS)
    for run in args.runs:
        assert Path(run.checkpoint).parent == Path(trained[run.config])
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
