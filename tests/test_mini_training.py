"""The main job in small: real files, real pipelines, the shipped config."""
import shutil

import pytest
import torch
from mini_runs import mini_config, train
from mmengine.runner import Runner
from toy_runner import assert_equal, weights


def test_target_is_never_opened(mini_root, tmp_path):
    """With every file of D1 gone, training and selection do not notice."""
    root = tmp_path / 'set'
    shutil.copytree(mini_root, root)
    gone = [p for p in root.rglob('*') if 'D1' in p.parts or p.name.startswith(
        ('D1_train', 'D1_test'))]
    for path in gone:
        if path.is_file():
            path.unlink()
    for path in sorted(gone, reverse=True):
        if path.is_dir():
            path.rmdir()
    assert len(gone) > 50
    runner, losses = train(mini_config(root, tmp_path / 'run'))
    assert len(losses) == 2
    assert list((tmp_path / 'run').glob('best_acc_top1_epoch_1.pth'))
    config = mini_config(root, tmp_path / 'test')
    config.load_from = str(tmp_path / 'run/epoch_1.pth')
    with pytest.raises(FileNotFoundError, match='D1'):
        Runner.from_cfg(config).test()


def test_resume_equals_uninterrupted(mini_root, tmp_path):
    """2 epochs + resume 1 equals 3, with workers, dropout and all draws."""
    whole, losses = train(
        mini_config(mini_root, tmp_path / 'whole', epochs=3, workers=1))
    train(mini_config(mini_root, tmp_path / 'parts', epochs=2, workers=1))
    config = mini_config(
        mini_root, tmp_path / 'parts', epochs=3, workers=1, resume=True)
    rest, last = train(config)
    assert last == losses[4:]
    assert_equal(weights(whole.model), weights(rest.model))
    a, b = (torch.load(tmp_path / p / 'epoch_3.pth', weights_only=True)
            for p in ('whole', 'parts'))
    assert_equal(a['state_dict'], b['state_dict'])
    assert_equal(a['ema_state_dict'], b['ema_state_dict'])


def test_one_seed_one_run(mini_root, tmp_path):
    runs = [
        train(mini_config(mini_root, tmp_path / str(i), seed=seed,
                          workers=workers))[1]
        for i, (seed, workers) in enumerate([(5, 1), (5, 1), (6, 1)])
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_metrics_of_test(mini_root, tmp_path):
    train(mini_config(mini_root, tmp_path / 'run'))
    config = mini_config(mini_root, tmp_path / 'test')
    config.load_from = str(tmp_path / 'run/epoch_1.pth')
    config.model.test_modalities = ['audio', 'flow']
    metrics = Runner.from_cfg(config).test()
    assert metrics['acc/num_clips'] == 8
    assert metrics['acc/num_skipped'] == 0
    assert {'acc/top1', 'acc/mean1', 'acc/audio/top1', 'acc/D1/flow/top1'
            } < metrics.keys()
    assert not any('video' in key for key in metrics)
    assert all(type(v) is float for v in metrics.values())
