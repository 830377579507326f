"""Heads that stop training: the defects shown, then the cures."""
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from mmaction.models.heads import I3DHead, RGBPoseHead, TSNHead
from mmaction.models.heads.base import BaseHead
from mmaction.structures import ActionDataSample

from mbcd_mmaction.compat import heads
from mbcd_mmaction.compat.late_patch import patch_when_imported

ROOT = Path(__file__).parents[2]

# The smallest installation in which MMAction2's heads can be imported.
WITHOUT_US = """
import importlib.metadata, sys, types
sys.modules.setdefault('importlib_metadata', importlib.metadata)
for name in ('mmaction.models.localizers.drn',
             'mmaction.models.localizers.drn.drn'):
    stub = types.ModuleType(name)
    stub.DRN, stub.__path__ = None, []
    sys.modules[name] = stub
"""
LOSS = """
import torch
from mmaction.models.heads import I3DHead, RGBPoseHead
from mmaction.structures import ActionDataSample
def samples(n):
    return [ActionDataSample().set_gt_label(0) for _ in range(n)]
def loss(head, scores):
    losses = head.loss_by_feat(scores, samples(4))
    print(sum(float(v) for k, v in losses.items() if 'loss' in k))
pose = RGBPoseHead(4, (2, 2), topk=1, loss_weights=1.0)
"""
CASES = {
    'batch of as many clips as classes':
    ('loss(pose, dict(rgb=torch.zeros(4, 4), pose=torch.zeros(4, 4)))',
     'size'),
    'RGBPoseHead in bfloat16':
    ('pose.num_classes = 5; half = torch.zeros(4, 4).bfloat16(); '
     'loss(pose, dict(rgb=half, pose=half))', 'BFloat16'),
    'BaseHead in bfloat16':
    ('loss(I3DHead(4, 2, topk=1), torch.zeros(4, 4).bfloat16())',
     'BFloat16'),
}


def run(first, code):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', first + LOSS + code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True,
        cwd=os.path.abspath(os.sep), text=True, timeout=300)


@pytest.mark.parametrize('case', CASES)
def test_defect_and_cure(case):
    code, message = CASES[case]
    done = run('import mbcd_mmaction', code)
    assert done.returncode == 0, done.stderr
    uniform = torch.tensor(4.).log().item()
    expected = uniform * (1 if 'BaseHead' in case else 2)
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)
    bare = run(WITHOUT_US, code)
    if bare.returncode == 0:
        pytest.skip('this MMAction2 does not have the defect')
    assert message in bare.stderr.strip().splitlines()[-1]


def samples(labels):
    return [ActionDataSample().set_gt_label(y) for y in labels]


def pose_head(classes, **kwargs):
    return RGBPoseHead(classes, (2, 2), topk=(1, ), loss_weights=1.0,
                       **kwargs)


def test_the_cured_batch_has_the_loss_of_its_halves():
    head = pose_head(4)
    scores = {'rgb': torch.randn(4, 4), 'pose': torch.randn(4, 4)}
    labels = [3, 1, 0, 2]
    whole = head.loss_by_feat(scores, samples(labels))
    halves = [
        head.loss_by_feat({m: s[rows] for m, s in scores.items()},
                          samples(labels[rows]))
        for rows in (slice(0, 2), slice(2, 4))
    ]
    assert set(whole) == {f'{m}_{x}' for m in scores
                          for x in ('loss_cls', 'top1_acc')}
    for name, value in whole.items():
        mean = (halves[0][name] + halves[1][name]) / 2
        assert float(value) == pytest.approx(float(mean), rel=1e-6), name


def test_one_soft_label_is_still_a_batch_of_one():
    """What RGBPoseHead asks the size of its scores for."""
    head = pose_head(4)
    soft = torch.tensor([.1, .2, .3, .4])
    sample = ActionDataSample().set_gt_label(soft)
    scores = torch.randn(1, 4)
    got = head.loss_by_feat(dict(rgb=scores, pose=scores), [sample])
    expected = -(soft * scores[0].log_softmax(0)).sum()
    assert torch.allclose(got['rgb_loss_cls'], expected)


@pytest.mark.parametrize('dtype,seen', [
    (torch.bfloat16, torch.float32), (torch.float16, torch.float16),
    (torch.float32, torch.float32), (torch.float64, torch.float64)])
def test_only_bfloat16_is_converted(dtype, seen):
    for head in (I3DHead(3, 2, topk=(1, )), TSNHead(3, 2, topk=(1, ))):
        scores = torch.randn(4, 3).to(dtype).requires_grad_()
        losses = head.loss_by_feat(scores, samples([0, 1, 2, 0]))
        assert losses['loss_cls'].dtype == seen
        losses['loss_cls'].backward()
        assert scores.grad.dtype == dtype and scores.grad.any()


def test_a_repaired_head_is_left_alone():

    class Repaired:

        def loss_by_feat(self, cls_scores, data_samples):
            return {}

        def loss_by_scores(self, cls_scores, labels):
            return {}

    before = dict(vars(Repaired))
    module = types.ModuleType('mmaction.models.heads.rgbpose_head')
    module.RGBPoseHead = Repaired
    heads._cure(module)
    assert dict(vars(Repaired)) == before


@pytest.mark.parametrize('error', [
    ValueError('labels'), AttributeError('no attribute new_setting'),
    TypeError('unexpected keyword'), IndexError('dim')])
def test_a_head_of_another_version_is_left_alone(error):
    """It asks more of a head than the one it is tried on has."""

    class Other:

        def loss_by_feat(self, cls_scores, data_samples):
            raise error

        def loss_by_scores(self, cls_scores, labels):
            raise error

    before = dict(vars(Other))
    module = types.ModuleType('mmaction.models.heads.rgbpose_head')
    module.RGBPoseHead = Other
    heads._cure(module)
    assert dict(vars(Other)) == before


def test_a_module_without_its_head_is_left_alone():
    heads._cure(types.ModuleType('mmaction.models.heads.omni_head'))


def test_a_second_cure_changes_nothing():
    before = {head: dict(vars(head)) for head in (BaseHead, RGBPoseHead)}
    finders = list(sys.meta_path)
    try:
        patch_when_imported(tuple(heads.HEADS), heads._cure)
    finally:
        sys.meta_path[:] = finders
    for head, methods in before.items():
        assert dict(vars(head)) == methods
