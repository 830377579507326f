"""Whole trainings as runs of a figure."""
import argparse

import pytest

from mbcd_mmaction.apis.figures.trainings import (
    Training,
    epoch_checkpoints,
    parse_log,
    parse_training,
)


def test_parsing(tmp_path):
    assert parse_log(f'A={tmp_path}') == Training('A', str(tmp_path))
    found = parse_training(f'A=configs/mbcd/mini_d1.py:{tmp_path}')
    assert found == Training('A', str(tmp_path), 'configs/mbcd/mini_d1.py')
    assert found.describe() == dict(config='configs/mbcd/mini_d1.py',
                                    work_dir=tmp_path.name)
    assert parse_log(f'A={tmp_path}').describe()['config'] is None
    for parse, texts in ((parse_log, ('A', f'={tmp_path}', 'A=')),
                         (parse_training, ('A', f'A={tmp_path}',
                                           f'A=:{tmp_path}', 'A=c.py:'))):
        for text in texts:
            with pytest.raises(argparse.ArgumentTypeError,
                               match='expected NAME='):
                parse(text)
    with pytest.raises(argparse.ArgumentTypeError, match='found none at'):
        parse_log(f'A={tmp_path}/none')


def test_checkpoints_by_number(tmp_path):
    with pytest.raises(FileNotFoundError, match='max_keep_ckpts=-1'):
        epoch_checkpoints(tmp_path)
    for name in ('epoch_10.pth', 'epoch_2.pth', 'epoch_1.pth',
                 'best_acc_top1_epoch_2.pth', 'epoch_last.pth', 'x.txt'):
        (tmp_path / name).touch()
    found = epoch_checkpoints(tmp_path)
    assert list(found) == [1, 2, 10]
    assert found[10] == tmp_path / 'epoch_10.pth'
