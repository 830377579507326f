"""What docs/robustness.md shows works as it stands."""
import re
from pathlib import Path

import pytest
from figure_pages import commands_of, parse
from shipped import ROOT

from mbcd_mmaction.apis.figures.corrupted import corrupt
from mbcd_mmaction.apis.figures.trained import read_config
from mbcd_mmaction.datasets.corruptions import CORRUPTIONS, SEVERITIES
from mbcd_mmaction.datasets.mini.recipe import UNKNOWN

TEXT = (ROOT / 'docs/robustness.md').read_text()
PLAIN = ' '.join(TEXT.split())
COMMANDS = commands_of(TEXT)
OTHER_PAGE = (ROOT / 'docs/figures.md').read_text()
CORRUPTION = [c for c in COMMANDS if '/corruptions.py' in c]
DETECTION = [c for c in COMMANDS if '/detection.py' in c]


def test_there_are_commands():
    assert len(CORRUPTION) == 2 and len(DETECTION) == 3
    assert len(COMMANDS) == len(CORRUPTION) + len(DETECTION) + 1


@pytest.mark.parametrize('command', COMMANDS)
def test_commands(command, monkeypatch, tmp_path):
    args = parse(command, monkeypatch, tmp_path)
    for run in getattr(args, 'runs', ()):
        folder = Path(run.checkpoint).parent.as_posix()
        if 'mini' in run.config:  # the trainings of the other page
            assert f'{run.config} --work-dir {folder} ' in OTHER_PAGE


def test_named_corruptions_fit(monkeypatch, tmp_path):
    args = parse(CORRUPTION[1], monkeypatch, tmp_path)
    cfg = read_config(ROOT / args.runs[0].config)
    for condition in args.corruptions:
        for modality, corruption in condition:
            corrupt(cfg, modality, corruption, 1)


def test_foreign_clips(monkeypatch, tmp_path):
    """The made set is the one that is read; the others are other sets."""
    made = parse(*[c for c in COMMANDS if 'make_mini' in c], monkeypatch,
                 tmp_path)
    assert made.unknown
    first, *others = [parse(c, monkeypatch, tmp_path) for c in DETECTION]
    other = read_config(ROOT / first.ood_config, first.ood_options)
    assert other.test_dataloader.dataset.data_root == str(made.root)
    assert len(UNKNOWN) == 4 and 'four actions' in PLAIN
    for args in others:
        kinds = {read_config(ROOT / name).test_dataloader.dataset.type
                 for name in (args.runs[0].config, args.ood_config)}
        assert len(kinds) == 2


def test_the_table_is_the_codes():
    rows = re.findall(r'^\| `(\w+)` \| (\w+) \| (.*) \|$', TEXT, re.M)
    assert [name for name, _, _ in rows] == list(CORRUPTIONS)
    for name, of, rest in rows:
        kind = CORRUPTIONS[name]
        *levels, unit = rest.split(' | ')
        assert (of, unit) == (kind.of, kind.unit)
        assert [float(level) for level in levels] == list(kind.levels)


def test_numbers_in_the_text():
    rounds = 1 + len(CORRUPTIONS) * len(SEVERITIES)
    assert f'five corruptions take {rounds} times' in PLAIN
    assert len(CORRUPTIONS) == 5


def test_python(monkeypatch):
    code, = re.findall(r'```python\n(.*?)```', TEXT, re.S)
    monkeypatch.chdir(ROOT)
    names = {}
    exec(compile(code, 'robustness.md', 'exec'), names)
    pipelines = names['cfg'].test_dataloader.dataset.pipeline[0].pipelines
    steps = [(modality, step['corruption'], step['severity'])
             for modality, steps in pipelines.items() for step in steps
             if step['type'].startswith('Corrupt')]
    assert steps == [('video', 'defocus_blur', 3), ('audio', 'wind_noise', 5)]


def test_links_and_pictures_exist():
    links = re.findall(r'\]\((\S+?)\s*\)', TEXT)
    assert len(links) >= 3
    for link in links:
        assert (ROOT / 'docs' / link).is_file(), link


def test_each_section_says_what_it_must():
    for section in re.split(r'^## ', TEXT, flags=re.M)[1:]:
        for part in ('**To read it:**', '**Limits:**', '?'):
            assert part in section
