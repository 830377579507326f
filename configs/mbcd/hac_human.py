"""MBCD on HAC: animal + cartoon -> human.

Video, flow and audio. Paper, Table 1: 81.28 top-1 (mean of 3 seeds); the
three targets average 71.62.
"""
_base_ = [
    '../_base_/models/slowfast-r101_slowonly-r50_resnet18.py',
    '../_base_/datasets/hac_video-flow-audio.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['animal', 'cartoon']
target_domains = ['human']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))

# Method: one line per component of the ablation table.
model = dict(
    num_classes=7,
    modality_dropout=dict(type='AdaptiveModalityDropout'))  # Eq. 2-4; None
custom_hooks = [
    dict(
        type='GradientConsistencyHook',
        inner_lr=1e-4),  # Eq. 5, size of the inner step; 0 is off
    dict(
        type='WATeacherDistillHook',
        ema_decay=0.999,  # Eq. 7, weight on the past; 0 copies the student
        distill_weight=1.0)  # Eq. 9, lambda of Eq. 8; 0 is off
]
