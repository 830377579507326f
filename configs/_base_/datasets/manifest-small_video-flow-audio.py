# A person's own set at a small size, for a trial without a GPU.
_base_ = ['manifest_video-flow-audio.py']

modalities = ['video', 'flow', 'audio']

train_pipeline = [
    dict(
        type='MultiModalPipeline',
        aligned=True,
        pipelines=dict(
            video=[
                dict(type='ClipInit', decoder='pyav'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1),
                dict(type='RandomView', size=48, area_range=(0.5, 1.0)),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1),
                dict(type='RandomView', size=48, area_range=(0.5, 1.0)),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=2.0),
                dict(type='AudioSpectrogram'),
                dict(type='SpectrogramAugment')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]
test_pipeline = [
    dict(
        type='MultiModalPipeline',
        aligned=True,
        pipelines=dict(
            video=[
                dict(type='ClipInit', decoder='pyav'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1,
                    test_mode=True),
                dict(type='CenterView', size=48, short_side=56),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=4,
                    num_clips=1,
                    test_mode=True),
                dict(type='CenterView', size=48, short_side=56),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=2.0),
                dict(type='AudioSpectrogram')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]

train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
