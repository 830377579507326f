"""From which checkpoint a cut-off training goes on, by MMEngine's own."""
import json
import shutil

import pytest
from toy_runner import make_runner

from mbcd_mmaction.analysis.scalars import read_scalars
from mbcd_mmaction.apis.benchmark.resume import resume_point

EVERY = dict(max_epochs=2)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two epochs, and the validation of both."""
    folder = tmp_path_factory.mktemp('trained')
    runner = make_runner(folder)
    runner.train()
    return folder


@pytest.fixture
def work_dir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / 'copy')


def scalars(work_dir):
    path, = work_dir.glob('*/vis_data/scalars.json')
    return path


def set_scores(work_dir, *scores):
    """As if the validations had come out so; None for one that did not."""
    path = scalars(work_dir)
    rows = [row for row in map(json.loads, path.read_text().splitlines())
            if 'loss' in row]
    rows += [{'acc/top1': score, 'step': epoch}
             for epoch, score in enumerate(scores, 1) if score is not None]
    path.write_text('\n'.join(map(json.dumps, rows)))


def test_all_is_there(work_dir):
    assert [row['step'] for row in read_scalars(work_dir).val] == [1, 2]
    assert resume_point(work_dir, EVERY) == work_dir / 'epoch_2.pth'


def test_cut_off_before_a_validation(work_dir):
    first = read_scalars(work_dir).val[0]['acc/top1']
    set_scores(work_dir, first)
    assert resume_point(work_dir, EVERY) == work_dir / 'epoch_1.pth'


def test_cut_off_before_the_best_was_saved(work_dir):
    """The validation was logged, but no checkpoint knows its score."""
    first = read_scalars(work_dir).val[0]['acc/top1']
    set_scores(work_dir, first, 2.0)
    assert resume_point(work_dir, EVERY) == work_dir / 'epoch_1.pth'


def test_torn_files(work_dir):
    path = work_dir / 'epoch_2.pth'
    path.write_bytes(path.read_bytes()[:-1000])
    assert resume_point(work_dir, EVERY) == work_dir / 'epoch_1.pth'
    (work_dir / 'epoch_1.pth').write_bytes(b'')
    assert resume_point(work_dir, EVERY) is None


def test_nothing_to_go_on_from(tmp_path):
    assert resume_point(tmp_path / 'absent', EVERY) is None


def test_torn_scalars_are_read_without_the_last_line(work_dir):
    path = scalars(work_dir)
    text = path.read_text()
    path.write_text(text + '{"acc/top1": 0.')
    assert len(read_scalars(work_dir).val) == 2
    path.write_text('{"acc\n' + text)
    with pytest.raises(ValueError):
        read_scalars(work_dir)


@pytest.mark.parametrize('often, validated', [
    ({}, [1, 2, 3, 4, 5, 6, 7]),
    (dict(val_interval=3), [3, 6, 7]),
    (dict(val_begin=4, val_interval=2), [4, 6, 7]),
])
def test_not_every_epoch_is_validated(often, validated, tmp_path):
    """What is asked of a checkpoint is what MMEngine has validated."""
    make_runner(tmp_path, epochs=7, train_cfg=often).train()
    assert [row['step'] for row in read_scalars(tmp_path).val] == validated
    train_cfg = dict(max_epochs=7, **often)
    assert resume_point(tmp_path, train_cfg) == tmp_path / 'epoch_7.pth'
    path = scalars(tmp_path)
    rows = path.read_text().splitlines()
    assert 'acc/top1' in rows[-1]
    path.write_text('\n'.join(rows[:-1]))
    # 7 was not validated, and what 6 knows is the best score up to there
    assert resume_point(tmp_path, train_cfg) == tmp_path / 'epoch_6.pth'
    for epoch in range(validated[0], 8):
        (tmp_path / f'epoch_{epoch}.pth').unlink()
    before = validated[0] - 1
    assert resume_point(tmp_path, train_cfg) == (
        tmp_path / f'epoch_{before}.pth' if before else None)
