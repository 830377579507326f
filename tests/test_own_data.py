"""docs/own_data.md does what it says, with every command that it shows."""
import ast
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import own_videos
import pytest
import tiny_sets
import torch
from mmengine.config import Config

from mbcd_mmaction.apis.check_data.findings import KINDS
from mbcd_mmaction.datasets.readers import VideoReader

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'docs/own_data.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```(bash|python|csv|json)\n(.*?)```', TEXT, re.S)
COMMANDS = [line for kind, block in BLOCKS if kind == 'bash'
            for line in block.splitlines()]
CLASSES, DOMAINS = ('jump', 'run', 'wave'), ('home', 'office', 'street')
VIDEOS = 3  # of each domain and class
# What makes the trainings of the page short; nothing else is changed.
SHORT = ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=6',
         'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
         'test_dataloader.num_workers=0', 'default_hooks.logger.interval=1']


def block(kind):
    found, = [text for name, text in BLOCKS if name == kind]
    return found


def write_videos(folder):
    """Two source domains and a target, three classes, sizes of all kinds."""
    for d, domain in enumerate(DOMAINS):
        size = [(64, 64), (64, 96), (96, 64)][d]
        for c, name in enumerate(CLASSES):
            motion = [(0, -2), (2, 0), (-1, 1)][c]
            for n in range(VIDEOS):
                suffix = 'mkv' if (d, n) == (1, 1) else 'mp4'
                own_videos.write_movie(
                    folder / domain / name / f'{n}.{suffix}',
                    own_videos.moving(30, *motion, size, seed=n),
                    own_videos.tone(1.2, 300 + 200 * c), rate=25)
    # Long enough for the parts that the page cuts from it.
    own_videos.write_movie(folder / 'home/jump/long.mp4',
                           own_videos.moving(60, 0, -1),
                           own_videos.tone(2.4), rate=25)


def edit_config(path, text):
    """Put the page's lines in the place of those that it tells to edit."""
    config = path.read_text()
    begin, end = config.index('ann_file ='), config.index('# That is all.')
    path.write_text(config[:begin] + text + config[end:])


def run(command, place):
    if 'train.py' in command or 'test.py' in command:
        if '--cfg-options' not in command:
            command += ' --cfg-options'
        command = ' '.join([command, *SHORT])
    python = f'"{sys.executable}" '
    return subprocess.run(
        ['bash', '-c', re.sub(r'^python ', lambda _: python, command)],
        cwd=place, capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1',
             'CUDA_VISIBLE_DEVICES': ''})


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """Where a newcomer stands: the repository, and a folder of videos."""
    place = tmp_path_factory.mktemp('newcomer')
    (place / 'tools').symlink_to(ROOT / 'tools')
    shutil.copytree(ROOT / 'configs', place / 'configs')
    write_videos(place / 'data/mine')
    return place


@pytest.fixture(scope='module')
def done(place):
    """Everything on the page, done in its order; results by command."""
    results = {}
    for kind, text in BLOCKS:
        if kind == 'bash':
            for command in text.splitlines():
                results[command] = run(command, place)
        elif kind == 'python':
            edit_config(place / 'configs/mbcd/mine_small.py', text)
        else:
            suffix = dict(csv='csv', json='jsonl')[kind]
            (place / f'data/mine/parts.{suffix}').write_text(text)
    return results


def output(done, *words):
    """What the first command with these words has printed."""
    return next(result.stdout for command, result in done.items()
                if all(word in command for word in words))


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_works(done, command):
    result = done[command]
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


def test_the_page_uses_every_tool():
    tools = {re.search(r'tools/[\w/]+\.py', command).group()
             for command in COMMANDS if 'tools/' in command}
    assert tools == {
        f'tools/{name}.py' for name in
        ('data/make_manifest', 'data/extract_flow', 'data/extract_audio',
         'data/check', 'train', 'test')}


def test_classes_and_domains_are_printed_as_the_config_has_them(done):
    printed = output(done, 'make_manifest')
    values = {}
    exec(block('python'), values)
    assert f'classes = {values["classes"]}\n' in printed
    assert f'domains = {sorted(DOMAINS)}\n' in printed
    assert {*values['source_domains'], *values['target_domains']} == set(
        DOMAINS)


def test_small_and_full_config_are_edited_alike():
    heads = [re.search(r'# What to edit.*?# That is all\.', (
        ROOT / f'configs/{name}.py').read_text(), re.S).group()
        for name in ('mbcd/own_data', 'mbcd/own_data_small', 'erm/own_data')]
    assert len(set(heads)) == 1
    assert block('python') in heads[0]


def test_flow_and_sound_of_every_clip(place, done):
    derived = place / 'data/mine/derived'
    names = [path.relative_to(derived) for path in derived.rglob('*')
             if path.suffix in ('.mp4', '.wav')]
    videos = len(DOMAINS) * len(CLASSES) * VIDEOS + 1
    # Two parts in parts.csv; parts.jsonl needs the same sound again.
    assert sum(name.parts[0] == 'flow' for name in names) == 2 * (videos + 2)
    assert sum(name.parts[0] == 'audio' for name in names) == videos
    assert '28 clips done, 0 were done before, 0 failed' in output(
        done, 'extract_flow')
    assert '0 videos done, 1 were done before, 0 failed' in output(
        done, 'extract_audio', 'parts')
    reader = VideoReader(str(derived / 'flow/home/run/0.mp4_x.mp4'))
    assert (reader.num_frames, reader.shape) == (29, (256, 256))
    frame = reader.read([10], 'grey')[10][32:-32, 32:-32]
    # Two pixels of 64 are eight of 256: to the right.
    assert np.median(frame) * 40 / 255 - 20 == pytest.approx(8, abs=.3)


def test_the_parts_are_parts(place, done):
    flow = place / 'data/mine/derived/flow/home/jump'
    first = VideoReader(str(flow / 'long.mp4_0.000-1.200_x.mp4'))
    second = VideoReader(str(flow / 'long.mp4_1.200-2.400_x.mp4'))
    assert first.num_frames == second.num_frames == 29


def test_check_sees_all_of_it(done):
    for words in (['check.py'], ['check.py', '--decode']):
        printed = output(done, *words)
        assert re.search(r'train home +\d+ ', printed)
        assert re.search(r'test  street +\d+ ', printed)
        assert re.search(r': 0 errors, 0 warnings\n$', printed)
    assert 'all read in' in printed


def test_trained_and_tested(place, done):
    checkpoint = torch.load(place / 'work_dirs/mine/epoch_1.pth',
                            weights_only=True)
    head = [value for key, value in checkpoint['state_dict'].items()
            if key.startswith('fusion_head')]
    assert checkpoint['meta']['epoch'] == 1
    assert head[-1].shape[0] == len(CLASSES)
    printed = output(done, 'tools/test.py')
    with open(place / 'data/mine/manifest.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    target = sum(row['domain'] == 'street' and row['split'] == 'test'
                 for row in rows)
    assert target > 0
    assert re.search(rf'acc/num_clips: {target}(\.0+)?\s', printed)
    assert 'acc/street/top1' in printed


def test_without_flow_no_flow_is_read(place, done):
    checkpoint = torch.load(place / 'work_dirs/mine_va/epoch_1.pth',
                            weights_only=True)
    branches = {key.split('.')[1] for key in checkpoint['state_dict']
                if key.startswith('branches.')}
    assert branches == {'video', 'audio'}
    printed = output(done, 'check.py', "['video','audio']")
    assert re.search(r'^video +\d+', printed, re.M)
    assert not re.search(r'^flow +\d+', printed, re.M)


def test_an_interrupted_flow_is_gone_on_with(place, done):
    """The same command, after files are lost: those alone are made."""
    flow = place / 'data/mine/derived/flow'
    lost = [flow / 'home/run/0.mp4_x.mp4', flow / 'street/wave/2.mp4_y.mp4']
    before = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    command = next(line for line in COMMANDS if 'extract_flow' in line)
    result = run(command + ' --jobs 1', place)
    assert '2 clips done, 26 were done before, 0 failed' in result.stdout
    assert [path.read_bytes() for path in lost] == before


def results(folder):
    """Content by name of all that a reader might take for a result."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob('*') if path.suffix in ('.mp4', '.wav')}


@pytest.mark.skipif(os.name == 'nt', reason='signals of POSIX')
@pytest.mark.parametrize('name', ['SIGINT', 'SIGKILL'])
def test_stopped_in_the_middle_and_gone_on(place, done, tmp_path, name):
    command = [sys.executable, ROOT / 'tools/data/extract_flow.py',
               place / 'data/mine/manifest.csv', '--cache', tmp_path,
               '--jobs', '2']
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    deadline = time.monotonic() + 300
    while not results(tmp_path):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(.01)
    if name == 'SIGINT':  # as a terminal does: all processes of the group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.kill()
    _, errors = process.communicate(timeout=120)
    whole = {key: value for key, value in results(
        place / 'data/mine/derived').items() if re.match(
            r'flow/\w+/\w+/(\d|long)\.\w+_[xy]', key)}
    found = results(tmp_path)
    assert 0 < len(found) < len(whole)
    assert found == {key: whole[key] for key in found}
    if name == 'SIGINT':
        assert process.returncode == 130
        assert 'the same command goes on' in errors
        assert 'Traceback' not in errors
        assert not list(tmp_path.rglob('*.part'))
    again = subprocess.run(command[:-1] + ['1'], capture_output=True,
                           text=True, env={**os.environ,
                                           'PYTHONPATH': str(ROOT)})
    assert again.returncode == 0, again.stderr
    assert results(tmp_path) == whole
    assert not list(tmp_path.rglob('*.part'))


def test_other_options_do_not_mix(place, done):
    command = next(line for line in COMMANDS if 'extract_flow' in line)
    result = run(command + ' --step 2 --jobs 1', place)
    assert result.returncode == 2
    assert 'flow of one set must be alike' in result.stderr


def test_a_video_that_fails_is_listed(place, done, tmp_path):
    shutil.copytree(place / 'data/mine/home/run', tmp_path / 'home/run')
    (tmp_path / 'home/run/0.mp4').write_bytes(b'')
    own_videos.write_movie(tmp_path / 'home/run/1.mp4',
                           own_videos.moving(1))
    tiny_sets.write_manifest(tmp_path / 'm.csv', [
        dict(video=f'home/run/{name}', label='run', domain='home')
        for name in ('0.mp4', '1.mp4', '2.mp4', 'none.mp4')])
    result = run(f'python tools/data/extract_flow.py {tmp_path}/m.csv '
                 '--jobs 1', place)
    assert result.returncode == 1
    assert '1 clips done, 0 were done before, 3 failed' in result.stdout
    assert 'Traceback' not in result.stderr
    listed = [json.loads(line) for line in (
        tmp_path / 'derived/flow/failures.jsonl').read_text().splitlines()]
    assert {item['name']: item['reason'] for item in listed} == {
        'home/run/0.mp4': 'the file is empty (0 bytes)',
        'home/run/1.mp4': 'flow needs at least 2 frames, the clip has 1',
        'home/run/none.mp4': 'no such file'}
    sound = f'python tools/data/extract_audio.py {tmp_path}/m.csv --jobs 1'
    result = run(sound, place)
    assert result.returncode == 1 and '3 failed' in result.stdout
    assert 'it holds no sound' in result.stdout
    result = run(sound + ' --silence-ok', place)
    assert '1 videos done, 1 were done before, 2 failed' in result.stdout


def strings(folder):
    """Texts of the package, with {} where a value is put in."""
    for path in (ROOT / folder).rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                yield ''.join(part.value if isinstance(part, ast.Constant)
                              else '{}' for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(
                    node.value, str):
                yield node.value


ROWS = re.findall(r'^\| `([^`]+)`(.*?)\|', TEXT.split(
    '## What errors mean')[1], re.M)


@pytest.mark.parametrize('phrase, where', ROWS)
def test_errors_that_the_page_explains_exist(phrase, where):
    if 'check' in where:
        assert phrase in KINDS
        assert KINDS[phrase][0] == ('warning' not in where)
        return
    pattern = re.escape(phrase).replace(r"'x'", r'\{\}').replace(
        r'\.\.\.', '.*').replace('2', r'(2|\{\})')
    assert any(re.search(pattern, text, re.S)
               for text in strings('mbcd_mmaction'))


def test_errors_are_explained():
    assert len(ROWS) > 12


def test_links_and_files():
    names = re.findall(r'(?:tools|configs|docs|tests)/[\w/.-]+\w', TEXT)
    made = {'configs/mbcd/mine_small.py'}
    assert [n for n in set(names) - made if not (ROOT / n).exists()] == []
    for name in re.findall(r'\]\(([\w/]+\.md)\)', TEXT):
        assert (ROOT / 'docs' / name).exists()


def test_columns_are_all_told():
    from mbcd_mmaction.datasets.manifest_file import COLUMNS
    table = TEXT.split('| column |')[1].split('\n\n')[0]
    assert set(re.findall(r'`(\w+)`', '\n'.join(
        line.split('|')[1] for line in table.splitlines()[2:]))) == set(
            COLUMNS)


def test_full_size_config_loads_with_the_edit(place, done):
    path = place / 'configs/mbcd/full.py'
    shutil.copy(ROOT / 'configs/mbcd/own_data.py', path)
    edit_config(path, block('python').replace("'wave'", "'wave', 'sit'"))
    assert Config.fromfile(path).model.num_classes == 4
