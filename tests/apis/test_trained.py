"""A trained model is read back as tools/test.py reads it."""
import json

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import Runner

from mbcd_mmaction.apis.trained import (
    FUSED,
    build_loader,
    load_trained,
    predict,
    read_config,
)


def options(root):
    """The shipped mini config on a small set, narrow."""
    given = {'model.branches.flow.backbone.base_channels': 4,
             'model.branches.audio.backbone.base_channels': 4}
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.dataset.data_root'] = str(root)
    return given


@pytest.fixture(scope='module')
def trained(mini_root, tmp_path_factory):
    """A config and a checkpoint of a teacher and another student."""
    cfg = read_config('configs/mbcd/mini_d1.py', options(mini_root))
    torch.manual_seed(0)
    teacher, student = (MODELS.build(cfg.model) for _ in range(2))
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    average = {f'module.{k}': v for k, v in student.state_dict().items()}
    torch.save(dict(meta={}, state_dict=teacher.state_dict(),
                    ema_state_dict={'steps': torch.tensor(3), **average}),
               path)
    return cfg, path, teacher, student


def test_scores_are_those_of_the_test_loop(trained, tmp_path):
    cfg, path, _, _ = trained
    predictions = predict(load_trained(cfg, path), build_loader(cfg))
    cfg = cfg.copy()
    cfg.work_dir, cfg.load_from = str(tmp_path), str(path)
    cfg.log_level, cfg.experiment_name = 'WARNING', 'trained'
    metrics = Runner.from_cfg(cfg).test()
    assert len(predictions.labels) == metrics['acc/num_clips'] == 8
    assert set(predictions.domains) == {'D1'}
    assert list(predictions.scores) == [FUSED, 'video', 'flow', 'audio']
    for name, scores in predictions.scores.items():
        lead = '' if name == FUSED else f'{name}/'
        top1 = (scores.argmax(1) == predictions.labels).mean()
        assert top1 == pytest.approx(metrics[f'acc/{lead}top1'])
        assert np.allclose(scores.sum(1), 1)
    json.dumps(predictions.labels.tolist())


def test_student_and_averaged_model(trained):
    cfg, path, teacher, student = trained
    for kind, source in ((False, teacher), (True, student)):
        model = load_trained(cfg, path, student=kind)
        assert not model.training
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, source.state_dict()[name]), name


def test_embeddings_are_the_fusion_heads_input(trained):
    cfg, path, _, _ = trained
    model = load_trained(cfg, path)
    predictions = predict(model, build_loader(cfg))
    dims = sum(b.embed_dims for b in model.branches.values())
    assert predictions.embeddings.shape == (8, dims)
    again = model.fusion_head(torch.from_numpy(predictions.embeddings))
    assert np.allclose(again.softmax(1).detach(), predictions.scores[FUSED],
                       atol=1e-6)


def test_change_and_subset(trained):
    cfg, path, _, _ = trained
    model, loader = load_trained(cfg, path), build_loader(cfg)
    seen = []

    def silence(inputs):
        seen.append({m: len(x) for m, x in inputs.items()})
        return {**inputs, 'audio': torch.zeros_like(inputs['audio'])}

    plain, quiet = predict(model, loader), predict(model, loader, silence)
    assert sum(batch['audio'] for batch in seen) == 8
    assert np.array_equal(plain.scores['video'], quiet.scores['video'])
    assert not np.allclose(plain.scores['audio'], quiet.scores['audio'])
    assert not np.allclose(plain.scores[FUSED], quiet.scores[FUSED])
    subset = predict(model, loader, modalities=['flow'])
    assert list(subset.scores) == [FUSED, 'flow']
    dims = model.branches['video'].embed_dims
    assert not subset.embeddings[:, :dims].any()


def test_what_is_not_there(trained, tmp_path):
    cfg, _, teacher, _ = trained
    with pytest.raises(FileNotFoundError, match='found none at'):
        load_trained(cfg, tmp_path / 'no.pth')
    path = tmp_path / 'plain.pth'
    torch.save(dict(state_dict=teacher.state_dict()), path)
    with pytest.raises(ValueError, match='expected .ema_state_dict.'):
        load_trained(cfg, path, student=True)
