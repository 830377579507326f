"""Models that know nothing of us: MMAction2's families, tiny, and our own."""
import copy

import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import nn

CLASSES = 3
RESNET3D = dict(depth=18, pretrained=None, pretrained2d=False,
                base_channels=4, norm_eval=False)
SLOW = dict(RESNET3D, conv1_kernel=(1, 7, 7), lateral=False,
            inflate=(0, 0, 1, 1))
CLIP = (1, 3, 4, 16, 16)  # views, channels, time, height, width
FRAMES = (2, 3, 32, 32)  # segments, channels, height, width


def recognizer(backbone, head, kind='Recognizer3D', **kwargs):
    return dict(type=kind, backbone=backbone,
                cls_head=dict(num_classes=CLASSES, topk=(1, ), **head),
                **kwargs)


def pathway(**kwargs):
    return dict(type='resnet3d', **{**RESNET3D, **kwargs})


def rgbpose():
    return recognizer(
        dict(type='RGBPoseConv3D', speed_ratio=4, channel_ratio=4,
             rgb_pathway=dict(
                 num_stages=4, stage_blocks=(1, 1, 1, 1), lateral=True,
                 lateral_infl=1, lateral_activate=(0, 0, 1, 1),
                 fusion_kernel=3, base_channels=4, conv1_kernel=(1, 3, 3),
                 inflate=(0, 0, 0, 1), with_pool2=False),
             pose_pathway=dict(
                 num_stages=3, stage_blocks=(1, 1, 1), lateral=True,
                 lateral_inv=True, lateral_infl=16, lateral_activate=(0, 1, 1),
                 fusion_kernel=3, in_channels=5, base_channels=2,
                 out_indices=(2, ), conv1_kernel=(1, 3, 3), conv1_stride_s=1,
                 conv1_stride_t=1, pool1_stride_s=1, pool1_stride_t=1,
                 inflate=(0, 1, 1), spatial_strides=(2, 2, 2),
                 temporal_strides=(1, 1, 1), dilations=(1, 1, 1),
                 with_pool2=False)),
        dict(type='RGBPoseHead', in_channels=[128, 32],
             loss_components=['rgb', 'pose'], loss_weights=[1., 1.]),
        'MMRecognizer3D')


def tpn():
    channels = 32
    return recognizer(
        dict(type='ResNet3dSlowOnly', out_indices=(2, 3),
             **{**SLOW, 'base_channels': 8}),
        dict(type='TPNHead', in_channels=2048),
        neck=dict(
            type='TPN', in_channels=(channels, 2 * channels),
            out_channels=channels,
            spatial_modulation_cfg=dict(
                in_channels=(channels, 2 * channels),
                out_channels=2 * channels),
            temporal_modulation_cfg=dict(downsample_scales=(2, 2)),
            upsample_cfg=dict(scale_factor=(1, 1, 1)),
            downsample_cfg=dict(downsample_scale=(1, 1, 1)),
            level_fusion_cfg=dict(
                in_channels=(channels, channels),
                mid_channels=(channels, channels), out_channels=channels,
                downsample_scales=((1, 1, 1), (1, 1, 1))),
            aux_head_cfg=dict(out_channels=CLASSES, loss_weight=0.5)))


# name: (config, shape of one sample's input)
FAMILIES = {
    'SlowOnly': (recognizer(
        dict(type='ResNet3dSlowOnly', **SLOW),
        dict(type='I3DHead', in_channels=32)), CLIP),
    'I3D': (recognizer(
        dict(type='ResNet3d', **RESNET3D),
        dict(type='I3DHead', in_channels=32)), CLIP),
    'SlowFast': (recognizer(
        dict(type='ResNet3dSlowFast', pretrained=None, resample_rate=2,
             speed_ratio=2, channel_ratio=4,
             slow_pathway=pathway(lateral=True, conv1_kernel=(1, 7, 7),
                                  inflate=(0, 0, 1, 1)),
             fast_pathway=pathway(lateral=False, base_channels=1)),
        dict(type='SlowFastHead', in_channels=40)), CLIP),
    'X3D': (recognizer(
        dict(type='X3D', gamma_w=0.3, gamma_b=1.0, gamma_d=1.0),
        dict(type='X3DHead', in_channels=64, fc1_bias=False)), CLIP),
    'Swin': (recognizer(
        dict(type='SwinTransformer3D', pretrained=None, pretrained2d=False,
             arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 2]),
             window_size=(2, 2, 2), out_indices=(1, ), drop_path_rate=0.2),
        dict(type='I3DHead', in_channels=16)), CLIP),
    'TimeSformer': (recognizer(
        dict(type='TimeSformer', num_frames=4, img_size=16, patch_size=8,
             embed_dims=16, num_heads=2, num_transformer_layers=1,
             pretrained=None),
        dict(type='TimeSformerHead', in_channels=16)), CLIP),
    'TPN': (tpn(), (1, 3, 4, 32, 32)),
    'TSN': (recognizer(
        dict(type='MobileNetV2', widen_factor=0.1, pretrained=None),
        dict(type='TSNHead', in_channels=1280), 'Recognizer2D'), FRAMES),
    'TSM': (recognizer(
        dict(type='MobileNetV2TSM', widen_factor=0.1, num_segments=2,
             pretrained=None, pretrained2d=False),
        dict(type='TSMHead', in_channels=1280, num_segments=2),
        'Recognizer2D'), FRAMES),
    'audio': (recognizer(
        dict(type='ResNetAudio', depth=50, pretrained=None, in_channels=1,
             base_channels=2),
        dict(type='TSNAudioHead', in_channels=64, dropout_ratio=0.5),
        'RecognizerAudio'), (1, 1, 16, 16)),
    'STGCN': (recognizer(
        dict(type='STGCN', graph_cfg=dict(layout='coco', mode='stgcn_spatial'),
             base_channels=4, num_stages=2, inflate_stages=[2],
             down_stages=[2]),
        dict(type='GCNHead', in_channels=8, dropout=0.5), 'RecognizerGCN'),
              (1, 2, 4, 17, 3)),
    'RGBPose': (rgbpose(), dict(imgs=(1, 3, 2, 32, 32),
                                heatmap_imgs=(1, 5, 8, 8, 8))),
}


def build(name, **head):
    """A tiny model of one family, in training mode."""
    cfg = copy.deepcopy(FAMILIES[name][0])
    cfg['cls_head'].update(head)
    one = dict(type='mmaction.ActionDataPreprocessor', to_float32=False)
    shape = FAMILIES[name][1]
    cfg['data_preprocessor'] = dict(
        type='mmaction.MultiModalDataPreprocessor',
        preprocessors=dict.fromkeys(shape, one)) if isinstance(
            shape, dict) else one
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(cfg)
    with torch.no_grad():  # heads begin with logits of nearly 0
        for param in model.cls_head.parameters():
            param.mul_(10)
    return model.train()


def batch_of(name, clips=4, views=None):
    """A batch of random clips, as ``forward`` takes it."""
    shape = FAMILIES[name][1]

    def draw(shape):
        shape = (views or shape[0], *shape[1:])
        return torch.randn(clips, *shape)

    inputs = ({key: draw(value) for key, value in shape.items()}
              if isinstance(shape, dict) else draw(shape))
    return dict(inputs=inputs, data_samples=samples(clips, views or 1))


def samples(clips, views=1):
    """Labels 0, 1, 2, 0, ...; one for each view of a clip."""
    return [
        ActionDataSample().set_gt_label(
            torch.full((views, ), i % CLASSES, dtype=torch.long))
        for i in range(clips)
    ]


class TwoLosses(BaseModel):
    """Ten lines on MMEngine alone: one backbone, two heads, two losses."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(),
            nn.Dropout(dropout))
        self.head = nn.Linear(5, CLASSES)
        self.second_head = nn.Linear(5, CLASSES)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        feats = self.backbone(inputs)
        logits, others = self.head(feats), self.second_head(feats)
        if mode != 'loss':
            return logits
        ce = nn.functional.cross_entropy
        return dict(loss_cls=ce(logits, data_samples),
                    loss_second=ce(others, 2 - data_samples))


def two_loss_batch(clips=6, dtype=torch.float32):
    """Inputs and labels of :class:`TwoLosses`."""
    return dict(inputs=torch.randn(clips, 4, dtype=dtype),
                data_samples=torch.arange(clips) % CLASSES)
