"""MBCD on your own videos, small: home + office -> street.

Video, flow and audio, with narrow backbones from random weights: a trial
without a GPU and without pretrained weights. docs/own_data.md begins with it.
"""
# What to edit. ann_file: the manifest that tools/data/make_manifest.py or you
# have written. classes: the names of its labels, in any fixed order.
ann_file = 'data/mine/manifest.csv'
classes = ['jump', 'run', 'wave']
source_domains = ['home', 'office']
target_domains = ['street']
# That is all.

_base_ = [
    '../_base_/models/mini.py',
    '../_base_/datasets/manifest-small_video-flow-audio.py',
    '../_base_/schedules/adam_mini.py',
    '../_base_/default_runtime.py',
]

# Protocol: the target domain reaches the test loader and nothing else.
train_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=source_domains))
val_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=source_domains))
test_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=target_domains))

train_cfg = dict(val_interval=1)  # the mini set validates every third epoch

# Method: one line per component of the ablation table. The inner
# step goes with the learning rate, the decay with the number of steps.
model = dict(
    num_classes=len(classes),
    modality_dropout=dict(type='AdaptiveModalityDropout'))  # Eq. 2-4; None
custom_hooks = [
    dict(
        type='GradientConsistencyHook',
        inner_lr=1e-3),  # Eq. 5, size of the inner step; 0 is off
    dict(
        type='WATeacherDistillHook',
        ema_decay=0.98,  # Eq. 7, weight on the past; 0 copies the student
        distill_weight=1.0)  # Eq. 9, lambda of Eq. 8; 0 is off
]
