"""A trained model is read back as tools/test.py reads it."""
import json

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import Runner
from torch.utils.data import Subset
from trained_runs import mini_config, save_checkpoint

from mbcd_mmaction.apis.figures.trained import (
    FUSED,
    Variant,
    build_loader,
    load_trained,
    predict,
    predict_variants,
)
from mbcd_mmaction.models.averaged_model import WeightAverageTeacher


@pytest.fixture(scope='module')
def trained(mini_root, tmp_path_factory):
    """A config and a checkpoint of a teacher and another student."""
    cfg = mini_config(mini_root)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    return cfg, path, *save_checkpoint(cfg, path)


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
        top1 = predictions.top1()[name]
        assert top1 == pytest.approx(metrics[f'acc/{lead}top1'])
        assert top1 == (scores.argmax(1) == predictions.labels).mean()
        assert np.allclose(scores.sum(1), 1)
    json.dumps(predictions.labels.tolist())


def test_student_and_averaged_model(trained):
    cfg, path, teacher, student = trained
    for kind, source in ((False, teacher), (True, student)):
        model = load_trained(cfg, path, student=kind)
        assert not model.training
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, source.state_dict()[name]), name


def test_student_beside_a_frozen_trunk(mini_root, tmp_path):
    """What both share stands in the averaged model's weights alone."""
    cfg = mini_config(mini_root)
    cfg.model.branches.audio.trunk_stages = 1
    student = MODELS.build(cfg.model)
    teacher = WeightAverageTeacher(student)
    shared = teacher.shared_names
    with torch.no_grad():
        for name, param in student.named_parameters():
            if name not in shared:
                param.add_(1)
    state, own = teacher.module.state_dict(), teacher.state_dict()
    student_state = student.state_dict()
    assert shared and not any(f'module.{name}' in own for name in shared)
    # as the hook leaves them: the averaged model in the student's place
    own.update({name: student_state[name.removeprefix('module.')]
                for name in own if name.startswith('module.')})
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=state, ema_state_dict=own), path)
    for kind, wanted in ((False, state), (True, student_state)):
        found = load_trained(cfg, path, student=kind).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[n], x) for n, x in wanted.items())


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


def test_several_conditions_in_one_pass(trained):
    """Each as by itself, bit for bit, and every clip read once."""
    cfg, path, _, _ = trained
    model, loader = load_trained(cfg, path), build_loader(cfg)
    variants = {
        'plain': Variant(), ('flow', 2): Variant(modalities=['flow']),
        None: Variant(change=lambda x: {**x, 'audio': 0 * x['audio']})}
    read = []
    found = predict_variants(
        model, (read.append(1) or batch for batch in loader), variants)
    assert list(found) == list(variants)
    assert len(read) == len(loader)
    for name, variant in variants.items():
        alone = predict(model, loader, variant.change, variant.modalities)
        assert list(found[name].scores) == list(alone.scores)
        for output, scores in alone.scores.items():
            assert np.array_equal(found[name].scores[output], scores)
        assert np.array_equal(found[name].embeddings, alone.embeddings)
        assert np.array_equal(found[name].labels, alone.labels)
        assert found[name].domains == alone.domains


def test_some_clips_spread_over_a_split(trained):
    cfg, path, _, _ = trained
    whole = build_loader(cfg, 'val').dataset
    some = build_loader(cfg, 'val', max_clips=5)
    assert isinstance(some.dataset, Subset)
    assert len(whole) == 16 and some.dataset.indices == [0, 3, 6, 9, 12]
    found = predict(load_trained(cfg, path), some)
    assert found.labels.tolist() == [
        whole.get_data_info(i)['label'] for i in some.dataset.indices]
    assert set(found.domains) == {'D2', 'D3'}
    more = build_loader(cfg, 'val', max_clips=99)
    assert more.dataset.indices == list(range(16))
    with pytest.raises(ValueError, match='expected 1 or more, got 0'):
        build_loader(cfg, max_clips=0)


def test_what_is_not_there(trained, tmp_path):
    cfg, _, teacher, _ = trained
    with pytest.raises(FileNotFoundError, match='found none at'):
        load_trained(cfg, tmp_path / 'no.pth')
    path = tmp_path / 'plain.pth'
    torch.save(dict(state_dict=teacher.state_dict()), path)
    with pytest.raises(ValueError, match='expected .ema_state_dict.'):
        load_trained(cfg, path, student=True)
    with pytest.raises(ValueError, match='no clip to predict'):
        predict(load_trained(cfg, path), [])


def test_weights_of_another_network(trained, tmp_path):
    """What fits only in part would be scored with random weights."""
    cfg, path, teacher, _ = trained
    other = cfg.copy()
    other.model = dict(cfg.model, modalities=['video', 'audio'])
    with pytest.raises(ValueError, match='those of another.*fusion_head'):
        load_trained(other, path)
    state = teacher.state_dict()
    lost = next(name for name in state if name.startswith('fusion_head'))
    torch.save(dict(state_dict={n: x for n, x in state.items() if n != lost}),
               tmp_path / 'part.pth')
    with pytest.raises(ValueError, match=f'missing keys .*{lost}'):
        load_trained(cfg, tmp_path / 'part.pth')
