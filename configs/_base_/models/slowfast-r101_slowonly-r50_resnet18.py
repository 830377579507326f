# Full size: the backbones, cuts and weights of the released experiments. In
# each the trunk (all but layer4) is frozen.
model = dict(
    type='MultiModalRecognizer',
    modalities=['video', 'flow', 'audio'],
    num_classes=8,
    branches=dict(
        video=dict(
            backbone=dict(
                type='mmaction.ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=8,
                slow_pathway=dict(
                    type='resnet3d',
                    depth=101,
                    pretrained=None,
                    lateral=True,
                    fusion_kernel=7,
                    conv1_kernel=(1, 7, 7),
                    dilations=(1, 1, 1, 1),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                    inflate=(0, 0, 1, 1),
                    norm_eval=False),
                fast_pathway=dict(
                    type='resnet3d',
                    depth=101,
                    pretrained=None,
                    lateral=False,
                    base_channels=8,
                    conv1_kernel=(5, 7, 7),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                    norm_eval=False)),
            checkpoint='https://download.openmmlab.com/mmaction/v1.0/'
            'recognition/slowfast/'
            'slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb/'
            'slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_'
            '20220818-9c0e09bd.pth'),
        flow=dict(
            backbone=dict(
                type='mmaction.ResNet3dSlowOnly',
                depth=50,
                pretrained=None,
                in_channels=2,
                lateral=False,
                conv1_kernel=(1, 7, 7),
                conv1_stride_t=1,
                pool1_stride_t=1,
                inflate=(0, 0, 1, 1),
                norm_eval=False),
            checkpoint='https://download.openmmlab.com/mmaction/recognition/'
            'slowonly/slowonly_r50_8x8x1_256e_kinetics400_flow/'
            'slowonly_r50_8x8x1_256e_kinetics400_flow_'
            '20200704-6b384243.pth'),
        audio=dict(
            backbone=dict(type='AudioResNet', depth=18),
            checkpoint='checkpoints/vggsound_avgpool.pth.tar')),
    data_preprocessor=dict(
        type='MultiModalDataPreprocessor',
        preprocessors=dict(
            video=dict(
                type='ActionDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                format_shape='NCTHW'),
            flow=dict(
                type='ActionDataPreprocessor',
                mean=[128., 128.],
                std=[128., 128.],
                format_shape='NCTHW'),
            audio=dict(type='ActionDataPreprocessor', format_shape='NCHW'))))
