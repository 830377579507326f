# The generated mini set (docs/mini_set.md), in EPIC's layout and through the
# same transforms at a small size.
_base_ = ['epic_video-flow-audio.py']

data_root = 'data/mini'
modalities = ['video', 'flow', 'audio']

train_pipeline = [
    dict(
        type='MultiModalPipeline',
        pipelines=dict(
            video=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 56)),
                dict(type='RandomResizedCrop', area_range=(0.5, 1.0)),
                dict(type='Resize', scale=(48, 48), keep_ratio=False),
                dict(type='Flip', flip_ratio=0.5),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=2,
                    num_clips=1),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 56)),
                dict(type='RandomResizedCrop', area_range=(0.5, 1.0)),
                dict(type='Resize', scale=(48, 48), keep_ratio=False),
                dict(type='FlowFlip', flip_ratio=0.5),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=1.2),
                dict(type='AudioSpectrogram'),
                dict(type='SpectrogramAugment')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]
test_pipeline = [
    dict(
        type='MultiModalPipeline',
        pipelines=dict(
            video=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1,
                    test_mode=True),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 56)),
                dict(type='CenterCrop', crop_size=48),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=2,
                    num_clips=1,
                    test_mode=True),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 56)),
                dict(type='CenterCrop', crop_size=48),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=1.2),
                dict(type='AudioSpectrogram')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]

train_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=40,
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
