# EPIC-Kitchens, layout "clips" of docs/data_preparation.md, prepared as the
# pretrained weights expect. RGB and flow draw offset, crop and flip
# independently, as the released code does.
dataset_type = 'EpicKitchensDataset'
data_root = 'data/epic-kitchens'
modalities = ['video', 'flow', 'audio']

train_pipeline = [
    dict(
        type='MultiModalPipeline',
        pipelines=dict(
            video=[
                dict(type='DecordInit', num_threads=1),
                dict(
                    type='SampleFrames',
                    clip_len=32,
                    frame_interval=2,
                    num_clips=1),
                dict(type='DecordDecode'),
                dict(type='Resize', scale=(-1, 256)),
                dict(type='RandomResizedCrop'),
                dict(type='Resize', scale=(224, 224), keep_ratio=False),
                dict(type='Flip', flip_ratio=0.5),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 256)),
                dict(type='RandomResizedCrop'),
                dict(type='Resize', scale=(224, 224), keep_ratio=False),
                dict(type='FlowFlip', flip_ratio=0.5),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=10.0),
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
                dict(type='DecordInit', num_threads=1),
                dict(
                    type='SampleFrames',
                    clip_len=32,
                    frame_interval=2,
                    num_clips=1,
                    test_mode=True),
                dict(type='DecordDecode'),
                dict(type='Resize', scale=(-1, 256)),
                dict(type='CenterCrop', crop_size=224),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleFrames',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1,
                    test_mode=True),
                dict(type='ClipDecode'),
                dict(type='Resize', scale=(-1, 256)),
                dict(type='CenterCrop', crop_size=224),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=10.0),
                dict(type='AudioSpectrogram')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]

# The experiments name their domains; see the protocol there.
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    worker_init_fn=dict(type='mbcd_worker_init'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        modalities=modalities,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='test',
        modalities=modalities,
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiModalAccMetric')
test_evaluator = val_evaluator
