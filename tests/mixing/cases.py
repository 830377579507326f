"""One stock config of each family, and options that make its network small.

Where a host's defect needs an option too, its reason stands beside it.
"""
from dataclasses import dataclass, field

RGB = 'recognition/'
SMALL_3D = {'model.backbone.depth': 18, 'model.backbone.base_channels': 8,
            'model.cls_head.in_channels': 64}


@dataclass
class Case:
    """A stock config below ``.mim/configs``, and how to run it small.

    Attributes:
        path (str): The stock config.
        data (str): Which of the data of stock_data.py it reads.
        options (dict): For ``--cfg-options``, beside those of any config.
        example (str): The shipped config that adds the hooks to it; where
            there is none, the test writes that file.
        losses (tuple[str]): What the distillation is called in the log.
        clip_len (int): Frames of a clip.
    """
    path: str
    data: str = 'video'
    options: dict = field(default_factory=dict)
    example: str = ''
    losses: tuple[str, ...] = ('loss_distill', )
    clip_len: int = 4


CASES = {
    'slowonly': Case(
        RGB + 'slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb.py',
        options=SMALL_3D, example='recognizer3d_slowonly-r50.py'),
    'i3d': Case(
        RGB + 'i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_'
        'kinetics400-rgb.py',
        options={'model.backbone.base_channels': 4,
                 'model.backbone.pretrained2d': False,
                 'model.cls_head.in_channels': 128}, clip_len=8),
    'slowfast': Case(
        RGB + 'slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py',
        options={'model.backbone.slow_pathway.depth': 18,
                 'model.backbone.fast_pathway.depth': 18,
                 'model.backbone.slow_pathway.base_channels': 16,
                 'model.backbone.fast_pathway.base_channels': 2,
                 'model.backbone.resample_rate': 2,
                 'model.backbone.speed_ratio': 2,
                 'model.cls_head.in_channels': 144}),
    # Shipped for testing only: the test adds SlowOnly's training settings.
    'x3d': Case(
        RGB + 'x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py',
        options={'model.backbone.gamma_d': 1,
                 'val_evaluator.type': 'AccMetric'}),
    # AmpOptimWrapper asserts a GPU; ours is bfloat16 on a CPU.
    'swin': Case(
        RGB + 'swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_'
        'kinetics400-rgb.py',
        options={'optim_wrapper.type': 'CPUAmpOptimWrapper',
                 'model.backbone.pretrained2d': False,
                 'model.backbone.arch._delete_': True,
                 'model.backbone.arch.embed_dims': 24,
                 'model.backbone.arch.depths': [1, 1, 2, 1],
                 'model.backbone.arch.num_heads': [1, 2, 4, 8],
                 'model.cls_head.in_channels': 192}),
    'timesformer': Case(
        RGB + 'timesformer/timesformer_divST_8xb8-8x32x1-15e_'
        'kinetics400-rgb.py',
        options={'model.backbone.img_size': 32,
                 'model.backbone.num_frames': 4,
                 'model.backbone.embed_dims': 48,
                 'model.backbone.num_heads': 4,
                 'model.backbone.num_transformer_layers': 2,
                 'model.cls_head.in_channels': 48}),
    # Its test_cfg.max_testing_views asserts batches of one.
    'csn': Case(
        RGB + 'csn/ircsn_r152_32x2x1-180e_kinetics400-rgb.py',
        options={'model.backbone.depth': 50,
                 'model.backbone.base_channels': 8,
                 'model.cls_head.in_channels': 256,
                 'val_dataloader.batch_size': 1,
                 'test_dataloader.batch_size': 1}),
    # SyncBN asserts a GPU.
    'r2plus1d': Case(
        RGB + 'r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb.py',
        options={**SMALL_3D, 'model.backbone.norm_cfg.type': 'BN3d'}),
    'tpn': Case(
        RGB + 'tpn/tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb.py',
        options={
            'model.backbone.base_channels': 8,
            'model.neck.in_channels': (128, 256),
            'model.neck.out_channels': 64,
            'model.neck.spatial_modulation_cfg.in_channels': (128, 256),
            'model.neck.spatial_modulation_cfg.out_channels': 256,
            'model.neck.level_fusion_cfg.in_channels': (64, 64),
            'model.neck.level_fusion_cfg.mid_channels': (64, 64),
            'model.neck.level_fusion_cfg.out_channels': 2048,
            'model.neck.aux_head_cfg.out_channels': 7}),
    'tsn': Case(
        RGB + 'tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_'
        'kinetics400-rgb.py',
        options={'model.backbone.depth': 18, 'model.backbone.num_stages': 2,
                 'model.backbone.out_indices': [1],
                 'model.backbone.strides': [1, 2],
                 'model.backbone.dilations': [1, 1],
                 'model.cls_head.in_channels': 128},
        example='recognizer2d_tsn-r50.py'),
    'tsm': Case(
        RGB + 'tsm/tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_'
        'kinetics400-rgb.py',
        options={'model.backbone.widen_factor': .25,
                 'model.backbone.pretrained2d': False}),
    'audio': Case(
        'recognition_audio/resnet/tsn_r18_8xb320-64x1x1-100e_'
        'kinetics400-audio-feature.py', 'audio',
        options={'model.backbone.num_stages': 2,
                 'model.backbone.out_indices': [1],
                 'model.backbone.strides': [1, 2],
                 'model.backbone.dilations': [1, 1],
                 'model.cls_head.in_channels': 128},
        example='audio_resnet18.py'),
    'stgcn': Case(
        'skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-'
        'keypoint-2d.py', 'pose',
        options={'model.backbone.base_channels': 16,
                 'model.cls_head.in_channels': 64},
        example='gcn_stgcn.py'),
    'agcn': Case(
        'skeleton/2s-agcn/2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-'
        'keypoint-2d.py', 'pose',
        options={'model.backbone.base_channels': 16,
                 'model.cls_head.in_channels': 64}),
    'posec3d': Case(
        'skeleton/posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-'
        'keypoint.py', 'pose',
        options={'model.backbone.base_channels': 4,
                 'model.cls_head.in_channels': 64}),
    'rgbpose': Case(
        'skeleton/posec3d/rgbpose_conv3d/rgbpose_conv3d.py', 'rgbpose',
        options={'model.backbone.rgb_pathway.base_channels': 16,
                 'model.backbone.pose_pathway.base_channels': 8,
                 'model.cls_head.in_channels': (512, 128)},
        example='rgbpose_conv3d.py',
        losses=('loss_distill_rgb', 'loss_distill_pose')),
}
