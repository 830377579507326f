"""The commands of docs/data_preparation.md do what it says."""
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_media
import tiny_sets
from mmaction.registry import DATASETS
from mmengine.config import Config

from mbcd_mmaction.apis import cli

ROOT = Path(__file__).parents[2]
TEXT = ROOT.joinpath('docs', 'data_preparation.md').read_text(
    encoding='utf-8')

CODE = re.findall(r'```python\n(.*?)```', TEXT, flags=re.DOTALL)
COMMANDS = [block.replace('\\\n', ' ') for block in re.findall(
    r'```\n(python .*?)```', TEXT, flags=re.DOTALL)]


def run(code, old, new):
    assert repr(old) in code
    exec(code.replace(repr(old), repr(str(new))), {})


@pytest.mark.parametrize('layout', ['clips', 'frames'])
def test_the_check_of_epic(tmp_path, capsys, layout):
    write = dict(clips=tiny_media.write_set,
                 frames=tiny_sets.write_epic_frames)[layout]
    write(tmp_path, domains=('D1', 'D2', 'D3'), splits=('test', ), clips=2)
    run(CODE[0], 'data/epic-kitchens', tmp_path)
    line, = capsys.readouterr().out.splitlines()
    assert line.startswith(f'6 clips in the layout {layout} ')
    assert "('D3', 'put'): 1" in line


def test_the_check_of_hac(tmp_path, capsys):
    rows = [('a.mp4', 0), ('b.mp4', 1)]
    tiny_sets.write_hac_splits(tmp_path / 'HAC_Splits', {
        (domain, split): rows
        for domain in ('human', 'animal', 'cartoon')
        for split in ('train', 'test')})
    for domain in ('human', 'animal', 'cartoon'):
        for kind in ('videos', 'flow', 'audio'):
            (tmp_path / domain / kind).mkdir(parents=True)
    run(CODE[1], 'data/hac', tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines()
             if ' - ' not in line]
    assert lines == ['human 4 2', 'animal 4 2', 'cartoon 4 2']


def merged(command, monkeypatch):
    """The config that a tool would run."""
    _, tool, *options = shlex.split(command)
    spec = importlib.util.spec_from_file_location('tool', ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [tool, *options])
    monkeypatch.chdir(ROOT)
    args = module.parse_args()
    merge = dict(train=cli.merge_train_args,
                 test=cli.merge_test_args)[Path(tool).stem]
    return merge(Config.fromfile(args.config), args)


def datasets_of(command, monkeypatch):
    """What a tool would build its datasets from, by loader."""
    cfg = merged(command, monkeypatch)
    return {split: dict(cfg[f'{split}_dataloader'].dataset, pipeline=[])
            for split in ('train', 'val', 'test')}


def test_a_set_in_another_place(tmp_path, monkeypatch):
    command, = [c for c in COMMANDS if '/path/to/set' in c]
    assert command.count('/path/to/set') == 3
    tiny_sets.write_epic_frames(tmp_path, ('D1', 'D2', 'D3'),
                                ('train', 'test'), clips=1, frames=2)
    found = datasets_of(command.replace('/path/to/set', str(tmp_path)),
                        monkeypatch)
    for split, domains in (('train', {'D2', 'D3'}), ('val', {'D2', 'D3'}),
                           ('test', {'D1'})):
        dataset = DATASETS.build(found[split])
        assert dataset.root.startswith(str(tmp_path))
        assert {dataset.get_data_info(n)['domain']
                for n in range(len(dataset))} == domains


def test_a_layout_that_is_named(tmp_path, monkeypatch):
    command, = [c for c in COMMANDS if 'tools/test.py' in c]
    config = datasets_of(command, monkeypatch)['test']
    rows = [('a.mp4', 0), ('b.mp4', 1)]
    root = tmp_path / 'data' / 'hac'
    tiny_sets.write_hac_splits(root / 'HAC_Splits', {
        ('human', 'train'): rows, ('human', 'test'): rows[1:]})
    for place in (root, root / 'HAC_Splits'):  # both layouts at once
        for kind in ('videos', 'flow', 'audio'):
            (place / 'human' / kind).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    dataset = DATASETS.build(config)
    assert (dataset.layout, len(dataset)) == ('inside', 2)


def test_the_check_of_a_whole_set(tmp_path):
    command, = [c for c in COMMANDS if 'tools/data/check.py' in c]
    _, tool, config = shlex.split(command)
    if not (ROOT / tool).is_file():
        pytest.skip(f'{tool} is not in this checkout')
    root = tmp_path / 'data' / 'epic-kitchens'
    tiny_sets.write_epic_frames(root, ('D1', 'D2', 'D3'), ('train', 'test'),
                                clips=1, frames=60)

    def check():
        return subprocess.run(
            [sys.executable, str(ROOT / tool), str(ROOT / config), '--jobs',
             '1'], cwd=tmp_path, capture_output=True, text=True)

    whole = check()
    assert whole.returncode == 0, whole.stdout + whole.stderr
    shutil.rmtree(root / 'rgb/test/D1/P01_01')
    broken = check()
    assert broken.returncode == 1
    assert str(Path('rgb/test/D1/P01_01')) in broken.stdout


def test_every_block_of_code_is_run():
    assert len(CODE) == 2
    assert [re.search(r'\w+\.py', command).group() for command in COMMANDS
            ] == ['check.py', 'train.py', 'test.py', 'reencode.py',
                  'train.py']


def test_reencoding_writes_a_set_of_the_same_layout(tmp_path):
    command, = [c for c in COMMANDS if 'reencode.py' in c]
    old, new = tmp_path / 'epic', tmp_path / 'new'
    tiny_media.write_set(old, domains=('D1', ), splits=('test', ), clips=2)
    command = command.replace('data/hac-quick', str(new)).replace(
        'data/hac', str(old)).replace('--jobs 8', '--jobs 1')
    _, tool, *options = shlex.split(command)
    done = subprocess.run([sys.executable, str(ROOT / tool), *options],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ' 0 failed' in done.stdout
    pairs = [[dataset.get_data_info(n) for n in range(len(dataset))]
             for dataset in (
                 DATASETS.build(dict(
                     type='EpicKitchensDataset', data_root=str(root),
                     domains='D1', split='test')) for root in (old, new))]
    assert len(pairs[0]) == 2
    assert repr(pairs[0]).replace(str(old), str(new)) == repr(pairs[1])
    for record in pairs[1]:
        assert Path(record['sources']['video']['filename']).is_file()


def test_a_weight_file_in_another_place(monkeypatch):
    command, = [c for c in COMMANDS if '/path/to/slowfast.pth' in c]
    cfg = merged(command, monkeypatch)
    assert cfg.model.branches.video.checkpoint == '/path/to/slowfast.pth'
    default = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    for name in ('flow', 'audio'):
        assert cfg.model.branches[name] == default.model.branches[name]


def test_commands_name_files_that_exist():
    commands = re.findall(r'python ((?:tools|configs)/\S+)(?: (configs/\S+))?',
                          TEXT)
    assert len(commands) > 2
    for names in commands:
        for name in filter(None, (n.strip('`') for n in names)):
            assert (ROOT / name).is_file(), name


def test_the_example_names_are_those_that_are_looked_for():
    item = tiny_media.row('P08_09', 579, 609, 4)
    for path in tiny_media.media_paths('', 'D1', 'test', item):
        assert f'{path.as_posix()}\n' in TEXT
