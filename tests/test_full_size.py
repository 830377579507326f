"""The shipped full-size model: its sizes, and one real training step."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from meta_model import build_on_meta
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
INPUTS = {
    'video': (1, 3, 32, 224, 224),
    'flow': (1, 2, 8, 224, 224),
    'audio': (1, 1, 257, 1004),
}


@pytest.fixture(scope='module')
def model():
    config = Config.fromfile(ROOT / 'configs/mbcd/epic_d1.py')
    return build_on_meta(config).eval()


def millions(module):
    return round(sum(p.numel() for p in module.parameters()
                     if p.requires_grad) / 1e6, 1)


def test_embeddings_and_trunk_features(model):
    """Published shapes at 224 pixels."""
    assert {m: b.embed_dims for m, b in model.branches.items()} == {
        'video': 2304, 'flow': 2048, 'audio': 512}
    with torch.device('meta'):
        views = {m: torch.empty(shape) for m, shape in INPUTS.items()}
        trunk = model.run_trunk(views)
        embeddings = {m: model.branches[m](trunk[m]) for m in trunk}
        logits = model.fuse(embeddings)
    slow, fast = trunk['video']
    assert tuple(slow.shape) == (1, 1280, 8, 14, 14)
    assert tuple(fast.shape) == (1, 128, 32, 14, 14)
    assert tuple(trunk['flow'].shape) == (1, 1024, 8, 14, 14)
    assert tuple(trunk['audio'].shape) == (1, 256, 17, 63)
    assert {m: z.shape[1] for m, z in embeddings.items()} == {
        'video': 2304, 'flow': 2048, 'audio': 512}
    assert tuple(logits.shape) == (1, 8)


def test_what_trains(model):
    """layer4 of each pathway, the LayerNorms and the heads."""
    video, flow, audio = (model.branches[m].backbone
                          for m in ('video', 'flow', 'audio'))
    assert millions(video.slow_path) == millions(video.slow_path.layer4)
    assert [millions(part) for part in (
        video.slow_path.layer4, video.fast_path.layer4, flow.layer4,
        audio.layer4)] == [21.1, .3, 20.2, 8.4]
    for backbone in (video, flow, audio):
        names = [n for n, p in backbone.named_parameters() if p.requires_grad]
        assert names and all('layer4' in name for name in names)
    assert len(video.state_dict()) == 1252
    assert len(flow.state_dict()) == 318
    assert len(audio.state_dict()) == 120


def part_of(name):
    """branches.video.backbone.slow_path.layer4.0... -> ... .layer4"""
    found = re.match(r'(branches\.\w+\.(?:norm|backbone(?:\.\w+_path)?'
                     r'\.\w+)|unimodal_heads\.\w+|fusion_head)\.', name)
    return found[1]


TRAINED = {
    'branches.video.backbone.slow_path.layer4',
    'branches.video.backbone.fast_path.layer4', 'branches.video.norm',
    'branches.flow.backbone.layer4', 'branches.flow.norm',
    'branches.audio.backbone.layer4', 'branches.audio.norm',
    'unimodal_heads.video', 'unimodal_heads.flow', 'unimodal_heads.audio',
    'fusion_head'
}


@pytest.fixture(scope='module')
def step(tmp_path_factory):
    """(what the process saw, its log)."""
    work_dir = tmp_path_factory.mktemp('full_size')
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tests/full_size_step.py'),
         str(work_dir)], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    log, = work_dir.glob('*/*.log')
    return json.loads(result.stdout.splitlines()[-1]), log.read_text()


def test_a_step_has_finite_losses(step):
    seen, _ = step
    assert seen['steps'] == 1 and seen['finite']
    losses = {n for n in seen['outputs'] if n.startswith('loss')}
    names = ('video', 'flow', 'audio')
    assert losses == {
        'loss', 'loss_cls', 'loss_distill_fused',
        *(f'loss_{m}' for m in names), *(f'loss_distill_{m}' for m in names)}
    assert all(seen['outputs'][name] > 0 for name in losses)


def test_a_step_moves_the_last_stages_alone(step, model):
    seen, _ = step
    assert {part_of(n) for n in seen['trained']} == TRAINED
    assert {part_of(n) for n in seen['moved']} == TRAINED
    assert not set(seen['moved']) & set(seen['frozen'])
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert set(seen['frozen']) == frozen and len(frozen) == 742
    assert seen['idle'] == []
    # running statistics: those of the last stages, and all of these
    statistics = {n for n in seen['buffers'] if 'running' in n}
    moved = statistics & set(seen['moved'])
    assert moved == {n for n in statistics if part_of(n) in TRAINED}
    assert moved and moved < statistics


def test_a_step_updates_the_teacher(step):
    seen, _ = step
    assert seen['teacher_error'] < 1e-7
    assert seen['teacher_moved'] > 0
    assert seen['teacher_shares']


def test_a_step_fits_ci_memory(step, record_property):
    seen, _ = step
    record_property('peak_gib', seen['peak_gib'])
    print(f'peak memory of the step: {seen["peak_gib"]:.2f} GiB')
    assert seen['peak_gib'] < 6


def test_random_weights_stand_in_the_log(step):
    """One warning a branch reaches the person through the Runner."""
    _, log = step
    loud = [line for line in log.splitlines()
            if 'WARNING' in line and 'RANDOM WEIGHTS' in line]
    assert len(loud) == 3
    for line, name in zip(loud, (
            "ResNet3dSlowFast (branch 'video')",
            "ResNet3dSlowOnly (branch 'flow')",
            "AudioResNet (branch 'audio')"), strict=True):
        assert name in line
