# The same families as at full size, narrow and shallow, for the mini set.
# There are no pretrained weights for them, so nothing is frozen: -1 puts no
# residual stage and no stem into the trunk.
model = dict(
    type='MultiModalRecognizer',
    modalities=['video', 'flow', 'audio'],
    num_classes=8,
    branches=dict(
        video=dict(
            trunk_stages=-1,
            backbone=dict(
                type='mmaction.ResNet3dSlowFast',
                pretrained=None,
                resample_rate=4,
                speed_ratio=4,
                channel_ratio=4,
                slow_pathway=dict(
                    type='resnet3d',
                    depth=18,
                    pretrained=None,
                    pretrained2d=False,
                    lateral=True,
                    base_channels=16,
                    conv1_kernel=(1, 7, 7),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                    inflate=(0, 0, 1, 1),
                    zero_init_residual=False),
                fast_pathway=dict(
                    type='resnet3d',
                    depth=18,
                    pretrained=None,
                    pretrained2d=False,
                    lateral=False,
                    base_channels=4,
                    conv1_kernel=(5, 7, 7),
                    conv1_stride_t=1,
                    pool1_stride_t=1,
                    zero_init_residual=False))),
        flow=dict(
            trunk_stages=-1,
            backbone=dict(
                type='mmaction.ResNet3dSlowOnly',
                depth=18,
                pretrained=None,
                pretrained2d=False,
                in_channels=2,
                base_channels=16,
                lateral=False,
                conv1_kernel=(1, 7, 7),
                conv1_stride_t=1,
                pool1_stride_t=1,
                inflate=(0, 0, 1, 1),
                zero_init_residual=False)),
        audio=dict(
            trunk_stages=-1,
            backbone=dict(type='AudioResNet', depth=18, base_channels=16))),
    unimodal_head=dict(hidden_channels=128),
    fusion_head=dict(hidden_channels=128),
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
