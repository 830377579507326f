"""What docs/configs.md shows works as it stands."""
import copy
import inspect
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from shipped import METHODS, ROOT, SPLITS

from mbcd_mmaction.apis import cli

TEXT = (ROOT / 'docs/configs.md').read_text()
COMMANDS = [line for block in re.findall(r'```bash\n(.*?)```', TEXT, re.S)
            for line in block.splitlines()]


def parse(command, monkeypatch):
    """The tool's own parsed flags, and the kind of tool."""
    python, tool, *words = shlex.split(command)
    assert python == 'python'
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, 'argv', [tool, *words])
    return runpy.run_path(tool)['parse_args'](), Path(tool).stem


def merged(command, monkeypatch):
    """The config as it is shipped, and as the tool would run it."""
    args, kind = parse(command, monkeypatch)
    cfg = Config.fromfile(args.config)
    merge = dict(train=cli.merge_train_args, test=cli.merge_test_args)[kind]
    return cfg, merge(copy.deepcopy(cfg), args), args


def is_an_option(cfg, name):
    """Whether a dotted name is in the config, or one its class takes."""
    *path, last = name.split('.')
    node = cfg
    for key in path:
        node = node[int(key) if key.isdigit() else key]
    if last in node:
        return True
    found = [registry.get(node['type'])
             for registry in (MODELS, DATASETS, TRANSFORMS)]
    return any(last in inspect.signature(cls).parameters
               for cls in found if cls is not None)


def value_of(cfg, name):
    node = cfg
    for key in name.split('.'):
        node = node[int(key) if key.isdigit() else key]
    return node


def test_there_are_commands():
    assert len(COMMANDS) == 15
    assert all(command.startswith('python tools/') for command in COMMANDS)


@pytest.mark.parametrize('command', COMMANDS)
def test_commands_do_what_they_say(command, monkeypatch):
    init_default_scope('mmaction')
    cfg, result, args = merged(command, monkeypatch)
    for name, value in (args.cfg_options or {}).items():
        assert is_an_option(cfg, name), name
        assert value_of(result, name) == value
    plain = copy.deepcopy(cfg)
    plain.merge_from_dict(args.cfg_options or {})
    changed = [split for split in SPLITS
               if plain[f'{split}_dataloader'].dataset.modalities !=
               result[f'{split}_dataloader'].dataset.modalities]
    chosen = 'model.modalities' in (args.cfg_options or {})
    assert changed == (list(SPLITS) if chosen else [])
    for split in SPLITS:
        for step in result[f'{split}_dataloader'].dataset.pipeline:
            TRANSFORMS.build(step)


def test_an_unknown_option_is_seen():
    cfg = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    assert is_an_option(cfg, 'model.test_modalities')
    assert not is_an_option(cfg, 'model.modalites')
    assert not is_an_option(
        cfg, 'train_dataloader.dataset.pipeline.0.alinged')


def test_the_table_names_the_folders():
    named = set(re.findall(r'^\| `configs/(\w+)`', TEXT, re.M))
    assert named == set(METHODS) | {'_base_'}


def test_named_files_exist():
    names = re.findall(r'^\| `(\w+\.py)`', TEXT, re.M)
    assert len(names) == 5
    assert all((ROOT / 'configs/mbcd' / name).is_file() for name in names)
    for link in re.findall(r'\]\((\w+\.md)\)', TEXT):
        assert (ROOT / 'docs' / link).is_file()
