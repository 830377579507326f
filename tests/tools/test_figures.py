"""The tools of figures, end to end on a few clips and random weights."""
import csv
import importlib.util
import json
import sys

import numpy as np
import pytest
import torch
from shipped import ROOT
from trained_runs import mini_config, mini_options, save_checkpoint, words

from mbcd_mmaction.apis.figures.trained import (
    FUSED,
    build_loader,
    load_trained,
    predict,
)

MODALITIES = ['video', 'flow', 'audio']
CLIPS = 5


@pytest.fixture(scope='module')
def saved(mini_root, tmp_path_factory):
    """A config and its checkpoint."""
    cfg = mini_config(mini_root)
    path = tmp_path_factory.mktemp('figures') / 'epoch_1.pth'
    save_checkpoint(cfg, path)
    return cfg, path


@pytest.fixture
def run(saved, mini_root, tmp_path, monkeypatch):
    """Calls a tool; returns what its JSON holds and its CSV's rows."""

    def call(name, *more, out='out', runs=('MBCD', 'student')):
        spec = importlib.util.spec_from_file_location(
            f'{name}_tool', ROOT / 'tools/analysis' / f'{name}.py')
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        config = ROOT / 'configs/mbcd/mini_d1.py'
        given = {'MBCD': f'MBCD={config}:{saved[1]}',
                 'student': f'student={config}:{saved[1]}:student'}
        folder = tmp_path / out
        monkeypatch.setattr(sys, 'argv', [
            f'{name}.py', *[given[r] for r in runs], '--max-clips',
            str(CLIPS), *more, '--out', str(folder), '--cfg-options',
            *words(mini_options(mini_root))])
        assert tool.main() == 0
        assert (folder / f'{name}.png').stat().st_size > 1000
        record = json.loads((folder / f'{name}.json').read_text())
        assert set(record) == {'figure', 'caption', 'runs', 'settings',
                               'versions', 'numbers'}
        assert record['figure'] == name and record['caption'].endswith('.')
        assert [r['student'] for r in record['runs'].values()] == [
            r == 'student' for r in runs]
        assert list(record['numbers']['runs']) == list(runs)
        with open(folder / f'{name}.csv', newline='') as file:
            return record, list(csv.DictReader(file))

    return call


def plain(saved, split='test', student=False):
    """The model, and what it predicts undisturbed."""
    cfg, path = saved
    model = load_trained(cfg, path, student)
    return model, predict(model, build_loader(cfg, split, CLIPS))


def test_flatness(run, saved):
    given = ('--radii', '.5', '--directions', '2')
    record, rows = run('flatness', *given)
    assert record['numbers']['radii'] == [0, .5]
    assert record['settings']['split'] == 'val'
    for name, numbers in record['numbers']['runs'].items():
        found = plain(saved, 'val', name == 'student')[1]
        own = found.scores[FUSED][np.arange(CLIPS), found.labels]
        assert numbers['at_zero'] == float(-np.log(own).mean())
        losses = np.array(numbers['loss'])
        assert losses.shape == (2, 2)
        assert (losses[:, 0] == numbers['at_zero']).all()
        assert numbers['mean'] == losses.mean(0).tolist()
        assert numbers['std'] == losses.std(0, ddof=1).tolist()
        assert numbers['std'][0] == 0 < numbers['std'][1]
        assert numbers['clips'] == CLIPS
        assert [float(r['loss']) for r in rows if r['run'] == name] == (
            losses.ravel().tolist())
    again, _ = run('flatness', *given, out='again', runs=['student'])
    assert again['numbers']['runs']['student'] == (
        record['numbers']['runs']['student'])


def test_noise(run, saved):
    given = ('--strengths', '2')
    record, rows = run('noise', *given, runs=['MBCD'])
    numbers = record['numbers']
    assert numbers['strengths'] == [0, 2] and numbers['noisy'] == MODALITIES
    top1 = plain(saved)[1].top1()
    shares = numbers['runs']['MBCD']['top1']
    for noisy in MODALITIES:
        assert list(shares[noisy]) == [FUSED, *MODALITIES]
        for output, values in shares[noisy].items():
            assert values[0] == top1[output]
            if output not in (FUSED, noisy):
                assert values[1] == top1[output]
    assert numbers['runs']['MBCD']['chance'] == 1 / 8
    assert len(rows) == 3 * 4 * 2
    assert record['settings']['scale'] == 'clip'
    again, _ = run('noise', *given, out='again', runs=['MBCD'])
    assert again == record


def test_missing_modalities(run, saved):
    record, rows = run('missing_modalities')
    numbers = record['numbers']
    assert numbers['subsets'] == [
        'video', 'flow', 'audio', 'video + flow', 'video + audio',
        'flow + audio', 'video + flow + audio']
    for row in rows:
        own = numbers['runs'][row.pop('run')]
        assert {name: float(value) for name, value in row.items()} == own
    model, found = plain(saved)
    own = numbers['runs']['MBCD']
    assert own['video + flow + audio'] == found.top1()[FUSED]
    # one modality, worked through the fusion head with zeros for the others
    sizes = [model.branches[m].embed_dims for m in MODALITIES]
    for i, modality in enumerate(MODALITIES):
        parts = list(np.split(found.embeddings, np.cumsum(sizes)[:-1], 1))
        parts = [z if j == i else 0 * z for j, z in enumerate(parts)]
        with torch.no_grad():
            logits = model.fusion_head(
                torch.from_numpy(np.concatenate(parts, 1)))
        hits = logits.argmax(1).numpy() == found.labels
        assert own[modality] == hits.mean()


def test_tsne(run, saved):
    given = ('--perplexity', '3')
    record, rows = run('tsne', *given)
    for name, numbers in record['numbers']['runs'].items():
        found = [plain(saved, split, name == 'student')[1]
                 for split in ('val', 'test')]
        assert np.shape(numbers['coordinates']) == (2 * CLIPS, 2)
        assert numbers['labels'] == [int(y) for p in found for y in p.labels]
        assert numbers['domains'] == [d for p in found for d in p.domains]
        assert numbers['splits'] == ['val'] * CLIPS + ['test'] * CLIPS
        assert set(numbers['silhouettes']) == {'class', 'domain',
                                               'class_val', 'class_test'}
        own = [r for r in rows if r['run'] == name]
        assert [[float(r['x']), float(r['y'])] for r in own] == (
            numbers['coordinates'])
        assert [(int(r['label']), r['domain'], r['split']) for r in own] == (
            list(zip(numbers['labels'], numbers['domains'],
                     numbers['splits'], strict=True)))
    assert 'split' not in record['settings']
    again, _ = run('tsne', *given, out='again', runs=['MBCD'])
    assert again['numbers']['runs']['MBCD'] == (
        record['numbers']['runs']['MBCD'])


@pytest.mark.parametrize('name, words, said', [
    ('flatness', ['--directions', '1'], 'two directions or more'),
    ('flatness', ['--radii', '-1'], 'radii of 0 or more'),
    ('noise', ['--strengths', '-.5'], 'strengths of 0 or more'),
])
def test_what_the_tools_refuse(run, capsys, name, words, said):
    with pytest.raises(SystemExit):
        run(name, *words)
    assert said in capsys.readouterr().err
