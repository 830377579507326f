"""What docs/configs.md shows works as it stands."""
import ast
import copy
import inspect
import itertools
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from meta_model import build_on_meta
from mmaction.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from shipped import METHODS, ROOT, SPLITS

from mbcd_mmaction.apis import cli
from mbcd_mmaction.datasets.mini import make_mini
from mbcd_mmaction.models.frozen_trunk import OPTIONS

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
    if path == ['model', 'trunk']:
        return last in OPTIONS
    node = cfg
    for key in path:
        node = node[int(key) if key.isdigit() else key]
    if last in node:
        return True
    found = [registry.get(node['type'])
             for registry in (MODELS, DATASETS, TRANSFORMS, HOOKS)]
    return any(last in inspect.signature(cls).parameters
               for cls in found if cls is not None)


def value_of(cfg, name):
    node = cfg
    for key in name.split('.'):
        node = node[int(key) if key.isdigit() else key]
    return node


def test_there_are_commands():
    assert len(COMMANDS) == 21
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
    assert not is_an_option(cfg, 'model.trunk.fold_norms')
    assert not is_an_option(cfg, 'custom_hooks.0.evry')


def test_the_table_names_every_shortcut():
    """Each a line that the config takes, and the model is built of."""
    lines = re.findall(r'^\| `([\w.]+)=(\S+)` \|', TEXT, re.M)
    names = [name for name, _ in lines]
    assert {f'model.trunk.{option}' for option in OPTIONS} < set(names)
    assert len(names) == 7
    cfg = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    assert all(is_an_option(cfg, name) for name in names)
    cfg.merge_from_dict({
        name: value if value.isidentifier() and value != 'True' else
        ast.literal_eval(value) for name, value in lines})
    init_default_scope('mmaction')
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)
    build_on_meta(cfg)  # checks the trunk's options
    assert cfg.optim_wrapper == Config.fromfile(
        ROOT / 'configs/mbcd/epic_d1.py').optim_wrapper


def test_the_table_names_the_folders():
    named = set(re.findall(r'^\| `configs/(\w+)`', TEXT, re.M))
    assert named == set(METHODS) | {'_base_'}


def test_named_files_exist():
    names = re.findall(r'^\| `(\w+\.py)`', TEXT, re.M)
    assert len(names) == 5
    assert all((ROOT / 'configs/mbcd' / name).is_file() for name in names)
    for link in re.findall(r'\]\((\w+\.md)\)', TEXT):
        assert (ROOT / 'docs' / link).is_file()


def test_steps_of_an_epoch():
    """Full batches of 16 clips, from the clips that the sets' lists have."""
    own = inspect.signature(make_mini).parameters['train_clips'].default
    sets = [(1543, 2495, 3897), (1111, 730, 870), (own, own)]
    epic, hac, mini = (
        [sum(pair) // 16 for pair in itertools.combinations(clips, 2)]
        for clips in sets)
    assert (f'an\nepoch has {min(epic)} to {max(epic)} in EPIC-Kitchens, '
            f'{min(hac)} to {max(hac)} in HAC and {mini[0]} in the mini\nset, '
            f'and with D1 alone {1543 // 16}.') in TEXT
    cfg = Config.fromfile(ROOT / 'configs/cmrf/mini_d1.py')
    assert cfg.custom_hooks[0].start_step == mini[0]
    assert mini[0] * cfg.train_cfg.max_epochs == 330


def test_moosa_with_two_modalities():
    """As the page says: not with the parts that it takes for three."""
    command, = [line for line in COMMANDS if 'num_chunks' in line]
    cfg = Config.fromfile(ROOT / shlex.split(command)[2])
    cfg.model.modalities = ['video', 'audio']
    init_default_scope('mmaction')
    with pytest.raises(ValueError, match='24 permutations.*num_chunks'):
        build_on_meta(cfg)
    cfg.model.objective.num_chunks = 4
    assert len(build_on_meta(cfg).objective.permutations[0]) == 8
