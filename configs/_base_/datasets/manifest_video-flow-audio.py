# A person's own set, listed in a manifest (docs/own_data.md) and prepared as
# the pretrained weights expect. The experiment gives ann_file, classes and
# domains.
dataset_type = 'ManifestDataset'
modalities = ['video', 'flow', 'audio']

# aligned=True: RGB and flow see the same seconds, crop and flip of a clip,
# whatever the rate of each; False draws them independently, as the released
# code does. Sound is that of the whole clip, its first 10 s; with
# window='frames' in LoadAudioClip it is what is heard while the frames of RGB
# are shown.
train_pipeline = [
    dict(
        type='MultiModalPipeline',
        aligned=True,
        pipelines=dict(
            video=[
                dict(type='ClipInit', decoder='pyav'),  # or 'decord'
                dict(
                    type='SampleWindow',
                    clip_len=32,
                    frame_interval=2,
                    num_clips=1),
                dict(type='RandomView', size=224),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=8,  # counts where there is no video
                    num_clips=1),
                dict(type='RandomView', size=224),
                dict(type='ClipDecode'),
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
        aligned=True,
        pipelines=dict(
            video=[
                dict(type='ClipInit', decoder='pyav'),
                dict(
                    type='SampleWindow',
                    clip_len=32,
                    frame_interval=2,
                    num_clips=1,
                    test_mode=True),
                dict(type='CenterView', size=224, short_side=256),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            flow=[
                dict(type='ClipInit'),
                dict(
                    type='SampleWindow',
                    clip_len=8,
                    frame_interval=8,
                    num_clips=1,
                    test_mode=True),
                dict(type='CenterView', size=224, short_side=256),
                dict(type='ClipDecode'),
                dict(type='FormatShape', input_format='NCTHW')
            ],
            audio=[
                dict(type='LoadAudioClip', duration=10.0),
                dict(type='AudioSpectrogram')
            ])),
    dict(type='PackMultiModalInputs', collect_keys=modalities)
]

# Source: split train for training, split test for validation and selection.
# Target: all of its split test.
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    worker_init_fn=dict(type='mbcd_worker_init'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        split='train',
        modalities=modalities,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        split='test',
        modalities=modalities,
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiModalAccMetric')
test_evaluator = val_evaluator
