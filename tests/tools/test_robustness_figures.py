"""The tools of curves, dominance, corruptions and detection, end to end."""
import csv
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread
from trained_runs import mini_config, mini_options, save_checkpoint, words

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/mbcd/mini_d1.py'
OUTPUTS = ['fused', 'video', 'flow', 'audio']


def small(root):
    """The shipped mini config on a small set, as words."""
    return words(mini_options(root))


@pytest.fixture(scope='module')
def work_dir(mini_root, tmp_path_factory):
    """What a training of two epochs leaves, with random weights."""
    folder = tmp_path_factory.mktemp('runs') / 'mbcd'
    logs = folder / '20260101_000000/vis_data'
    logs.mkdir(parents=True)
    rows = [dict(loss=1., step=step, dominance_ratio_video=1.2,
                 dominance_ratio_audio=.8, drop_prob_video=.2,
                 drop_prob_audio=0.) for step in (1, 2)]
    rows += [{'step': epoch, 'acc/top1': .5 / epoch, 'acc/D2/top1': .5,
              **{f'acc/{m}/top1': .25 for m in OUTPUTS[1:]}}
             for epoch in (1, 2)]
    (logs / 'scalars.json').write_text(
        '\n'.join(json.dumps(row) for row in rows))
    cfg = mini_config(mini_root)
    for epoch in (1, 2):
        save_checkpoint(cfg, folder / f'epoch_{epoch}.pth', seed=epoch)
    return folder


def call(path, monkeypatch, *given):
    """Run a tool in this process, in the repository's root."""
    spec = importlib.util.spec_from_file_location(Path(path).stem,
                                                  ROOT / path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, 'argv', [path, *map(str, given)])
    return tool.main()


def run(name, tmp_path, monkeypatch, *given):
    """Run a figure's tool; its JSON and the rows of its CSV."""
    assert call(f'tools/analysis/{name}.py', monkeypatch, *given, '--out',
                tmp_path) == 0
    assert (tmp_path / f'{name}.png').stat().st_size > 5000
    with open(tmp_path / f'{name}.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    found = json.loads((tmp_path / f'{name}.json').read_text())
    assert found['figure'] == name and found['caption']
    return found, rows


def test_curves(work_dir, mini_root, tmp_path, monkeypatch, capsys):
    found, rows = run('curves', tmp_path, monkeypatch,
                      f'MBCD={CONFIG}:{work_dir}', '--cfg-options',
                      *small(mini_root))
    numbers = found['numbers']['runs']['MBCD']
    assert numbers['source']['epochs'] == numbers['target']['epochs'] == [
        1, 2]
    assert numbers['source']['top1']['fused'] == [.5, .25]
    assert list(numbers['target']['top1']) == OUTPUTS
    # two checkpoints, each by its own weights, of eight clips
    assert all(8 * value == int(8 * value) for values in
               numbers['target']['top1'].values() for value in values)
    assert len({tuple(numbers['target']['top1'][m][i] for m in OUTPUTS)
                for i in (0, 1)}) == 2
    assert numbers['selected'] == 1
    assert len(rows) == 4
    assert found['runs']['MBCD'] == dict(config=CONFIG, work_dir='mbcd')
    assert capsys.readouterr().err == ''


def test_curves_of_what_was_kept(work_dir, mini_root, tmp_path, monkeypatch,
                                 capsys):
    found, _ = run('curves', tmp_path, monkeypatch,
                   f'A={CONFIG}:{work_dir}', '--source-only')
    assert found['numbers']['runs']['A']['target'] == dict(epochs=[], top1={})
    kept = tmp_path / 'kept'
    kept.mkdir()
    (kept / 'epoch_2.pth').symlink_to(work_dir / 'epoch_2.pth')
    (kept / 'log').symlink_to(work_dir / '20260101_000000')
    found, _ = run('curves', tmp_path, monkeypatch, f'A={CONFIG}:{kept}',
                   '--max-clips', 2, '--cfg-options', *small(mini_root))
    assert found['numbers']['runs']['A']['target']['epochs'] == [2]
    assert found['settings']['max_clips'] == 2
    said = capsys.readouterr().err
    assert 'no checkpoint of the epochs [1]' in said
    assert 'max_keep_ckpts=-1' in said


def test_dominance(work_dir, tmp_path, monkeypatch, capsys):
    found, rows = run('dominance', tmp_path, monkeypatch,
                      f'MBCD={work_dir}', f'again={work_dir}')
    assert found['numbers']['runs']['MBCD']['drop_prob'] == dict(
        video=[.2, .2], audio=[0, 0])
    assert len(rows) == 8
    assert 'MBCD video: mean ratio 1.200' in capsys.readouterr().out


def test_corruptions(work_dir, mini_root, tmp_path, monkeypatch, capsys):
    found, rows = run(
        'corruptions', tmp_path, monkeypatch,
        f'A={CONFIG}:{work_dir}/epoch_1.pth', '--severities', 5, 1,
        '--corruptions', 'audio:white_noise',
        'video:defocus_blur+flow:frame_drop', '--max-clips', 4,
        '--cfg-options', *small(mini_root))
    numbers = found['numbers']['runs']['A']
    assert list(numbers['clean']) == OUTPUTS
    assert numbers['severities'] == [1, 5]
    assert list(numbers['corrupted']) == [
        'audio:white_noise', 'video:defocus_blur+flow:frame_drop']
    assert [(r['corruption'], r['severity']) for r in rows] == [
        ('clean', '0'), *[('audio:white_noise', s)
                          for s in ('1', '5', 'mean')],
        *[('video:defocus_blur+flow:frame_drop', s)
          for s in ('1', '5', 'mean')], ('all', 'mean')]
    # noise on the sound leaves the other modalities alone
    same = numbers['corrupted']['audio:white_noise']
    assert same['video'] == [numbers['clean']['video']] * 2
    assert 'A audio:white_noise 5: ' in capsys.readouterr().out


def test_corruptions_that_fit(work_dir, mini_root, tmp_path, monkeypatch):
    found, _ = run('corruptions', tmp_path, monkeypatch,
                   f'A={CONFIG}:{work_dir}/epoch_1.pth', '--severities', 3,
                   '--max-clips', 1, '--cfg-options', *small(mini_root))
    assert list(found['numbers']['runs']['A']['corrupted']) == [
        'video:defocus_blur', 'video:brightness', 'video:frame_drop',
        'audio:wind_noise', 'audio:white_noise']


def test_detection(work_dir, mini_root, tmp_path, monkeypatch, capsys):
    runs = [f'{name}={CONFIG}:{work_dir}/epoch_{epoch}.pth'
            for epoch, name in ((1, 'A'), (2, 'B'))]
    shared = [*runs, '--cfg-options', *small(mini_root)]
    found, rows = run('detection', tmp_path, monkeypatch, *shared)
    assert found['numbers']['runs']['A']['ood'] == {}
    assert len(rows) == 8 and 'ood_auroc' not in rows[0]
    # any other config's clips: here those of another domain
    found, rows = run(
        'detection', tmp_path, monkeypatch, *shared, '--ood-config',
        'configs/mbcd/mini_d3.py', '--ood-options',
        f'test_dataloader.dataset.data_root={mini_root}')
    for numbers in found['numbers']['runs'].values():
        assert list(numbers['misclassification']) == OUTPUTS
        for output in OUTPUTS:
            assert numbers['misclassification'][output]['clips'] == 8
            assert numbers['ood'][output]['ood_clips'] == 8
            assert 0 <= numbers['ood'][output]['auroc'] <= 1
    assert found['settings']['ood_config'] == 'configs/mbcd/mini_d3.py'
    assert '| OOD AUROC |' in capsys.readouterr().out
    # the domains' clips are not the same
    assert found['numbers']['runs']['A']['ood']['video']['auroc'] != .5


def test_a_clip_at_every_severity(mini_root, tmp_path, monkeypatch):
    call('tools/data/show_corruptions.py', monkeypatch, CONFIG,
         tmp_path / 'new/clip.png', '--clip', 1, '--cfg-options',
         *small(mini_root))
    picture = imread(tmp_path / 'new/clip.png')[..., :3]
    assert picture.shape[1] > 600 and picture.std() > .1
