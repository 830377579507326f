"""Checkpoint files as they are published: same keys, shapes, wrapping."""
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.logging import HistoryBuffer

from mbcd_mmaction.models.pretrained import load_backbone

# Full depth, so that the names are those of the published files, but narrow.
SLOWFAST = dict(
    type='ResNet3dSlowFast', pretrained=None, resample_rate=4, speed_ratio=4,
    channel_ratio=8,
    slow_pathway=dict(
        type='resnet3d', depth=101, pretrained=None, lateral=True,
        base_channels=8, fusion_kernel=7, conv1_kernel=(1, 7, 7),
        dilations=(1, 1, 1, 1), conv1_stride_t=1, pool1_stride_t=1,
        inflate=(0, 0, 1, 1)),
    fast_pathway=dict(
        type='resnet3d', depth=101, pretrained=None, lateral=False,
        base_channels=1, conv1_kernel=(5, 7, 7), conv1_stride_t=1,
        pool1_stride_t=1))
SLOWONLY = dict(
    type='ResNet3dSlowOnly', depth=50, pretrained=None, in_channels=2,
    base_channels=8, lateral=False, conv1_kernel=(1, 7, 7), conv1_stride_t=1,
    pool1_stride_t=1, inflate=(0, 0, 1, 1))
AUDIO = dict(type='AudioResNet', depth=18, base_channels=4)


def randomize(tensors, seed=0):
    """Other values of the same shapes and types; counters count."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(t.shape, generator=generator).to(t.dtype)
        if t.is_floating_point() else torch.full_like(t, 7)
        for name, t in tensors.items()
    }


def without_counters(values):
    """As files older than PyTorch 0.4.1 are."""
    return {n: t for n, t in values.items() if 'num_batches' not in n}


def recognizer_state(values, head):
    state = OrderedDict((f'backbone.{n}', t) for n, t in values.items())
    state['cls_head.fc_cls.weight'] = torch.rand(head)
    state['cls_head.fc_cls.bias'] = torch.rand(head[0])
    return state


def old_openmmlab_file(path, config, head=(400, 96), counters=True):
    """By MMAction2 0.x: PyTorch's format before 1.6, NumPy 1 in it."""
    values = randomize(MODELS.build(config).state_dict())
    values = values if counters else without_counters(values)
    meta = dict(
        env_info='sys.platform: linux\nPyTorch: 1.3.1', mmcv_version='1.0.1',
        time='Sat Jul  4 00:10:21 2020', config='model = dict(...)',
        mmaction_version='0.6.0+1cde', epoch=196, iter=58996, seed=0,
        CLASSES=['abseiling', 'zumba'],
        hook_msgs=dict(best_score=np.float64(0.65), best_ckpt='e_196.pth'))
    rubbish = dict(
        state={0: dict(momentum_buffer=torch.rand(3))},
        param_groups=[dict(lr=0.001, weight_decay=1e-4, params=[0])])
    torch.save(
        dict(meta=meta, state_dict=recognizer_state(values, head),
             optimizer=rubbish), path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    content = path.read_bytes()
    assert b'multiarray\nscalar' in content
    path.write_bytes(content.replace(b'numpy._core.', b'numpy.core.'))
    return values


def new_openmmlab_file(path, config, head=(400, 96), counters=True):
    """By MMAction2 1.x: MMEngine's runner and its log buffers."""
    values = randomize(MODELS.build(config).state_dict(), seed=1)
    values = values if counters else without_counters(values)
    meta = dict(
        cfg='model = dict(...)', epoch=256, iter=960512, seed=1,
        dataset_meta=dict(), experiment_name='slowfast', mmengine_version='0.1'
    )
    torch.save(
        dict(
            meta=meta, state_dict=recognizer_state(values, head),
            message_hub=dict(
                log_scalars={'train/loss': HistoryBuffer([1.0], [1])},
                runtime_info=dict(best_score=np.float64(0.76)),
                resumed_keys={}),
            param_schedulers=[dict(last_step=256, _global_step=257)]), path)
    assert zipfile.is_zipfile(path)
    return values


def torchvision_resnet18(width, classes=309):
    """Name to shape of torchvision's ResNet-18 with one input channel."""
    names = {}

    def conv(name, out, channels, size):
        names[f'{name}.weight'] = (out, channels, size, size)

    def norm(name, channels):
        for leaf in ('weight', 'bias', 'running_mean', 'running_var'):
            names[f'{name}.{leaf}'] = (channels, )
        names[f'{name}.num_batches_tracked'] = ()

    conv('conv1', width, 1, 7)
    norm('bn1', width)
    channels = width
    for stage in range(4):
        out = width * 2**stage
        for block in range(2):
            lead = f'layer{stage + 1}.{block}'
            conv(f'{lead}.conv1', out, channels, 3)
            norm(f'{lead}.bn1', out)
            conv(f'{lead}.conv2', out, out, 3)
            norm(f'{lead}.bn2', out)
            if channels != out:
                conv(f'{lead}.downsample.0', out, channels, 1)
                norm(f'{lead}.downsample.1', out)
            channels = out
    names.update({'fc.weight': (classes, 512), 'fc.bias': (classes, )})
    return names


def vggsound_file(path, config=None, width=4, counters=True):
    """``model_state_dict`` with ``audnet.`` before torchvision's names."""
    shapes = torchvision_resnet18(width)
    assert len(shapes) == 122
    state = randomize({
        name: torch.zeros(shape, dtype=torch.long if 'tracked' in name
                          else torch.float32)
        for name, shape in shapes.items()
    }, seed=2)
    state = state if counters else without_counters(state)
    torch.save(
        dict(epoch=12, model_state_dict={
            f'audnet.{name}': t for name, t in state.items()
        }), path, _use_new_zipfile_serialization=False)
    return {host_name(name): t for name, t in state.items()
            if not name.startswith('fc.')}


def host_name(name):
    """torchvision's name of a tensor as MMAction2 has it, by hand."""
    parts = name.split('.')
    if parts[-2] == '0' and parts[-3] == 'downsample':
        return '.'.join([*parts[:-2], 'conv', parts[-1]])
    if parts[-2] == '1' and parts[-3] == 'downsample':
        return '.'.join([*parts[:-2], 'bn', parts[-1]])
    kind, number = parts[-2][:-1], parts[-2][-1]
    return '.'.join([*parts[:-2], f'conv{number}', kind, parts[-1]])


# name: (file's name, backbone, writer(path, backbone, counters=...))
PUBLISHED = {
    'SlowFast 0.x': (
        'slowfast_r101_8x8x1_256e_kinetics400_rgb_20210218-0dd54025.pth',
        SLOWFAST, old_openmmlab_file),
    'SlowFast 1.x': (
        'slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_'
        '20220818-9c0e09bd.pth', SLOWFAST, new_openmmlab_file),
    'SlowOnly flow 0.x': (
        'slowonly_r50_8x8x1_256e_kinetics400_flow_20200704-6b384243.pth',
        SLOWONLY, old_openmmlab_file),
    'VGGSound': ('H.pth.tar', AUDIO, vggsound_file),
}


def assert_loaded(branch, expected):
    """Each tensor, of the trunk and of the last stage, is the file's."""
    got = branch.backbone.state_dict()
    assert expected.keys() <= got.keys()
    assert all('num_batches' in name for name in got.keys() - expected.keys())
    for name, value in expected.items():
        assert torch.equal(got[name], value), name
    trains = {id(p): p.requires_grad for p in branch.parameters()}
    split = {True: 0, False: 0}
    for name, param in branch.backbone.named_parameters():
        assert name in expected
        split[trains[id(param)]] += 1
    assert split[True] and split[False]


def refused(path, backbone, error, message, **kwargs):
    """The message; nothing may have been overwritten."""
    before = {n: t.clone() for n, t in backbone.state_dict().items()}
    with pytest.raises(error, match=message) as caught:
        load_backbone(backbone, str(path), **kwargs)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    return str(caught.value)
