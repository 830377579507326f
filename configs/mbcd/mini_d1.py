"""MBCD on the mini set: D2 + D3 -> D1.

Video, flow and audio.
"""
_base_ = [
    '../_base_/models/mini.py',
    '../_base_/datasets/mini_video-flow-audio.py',
    '../_base_/schedules/adam_mini.py',
    '../_base_/default_runtime.py',
]

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D2', 'D3']
target_domains = ['D1']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))

# Method: one line per component of the ablation table. The inner step goes
# with the learning rate, the decay with the number of steps (330).
model = dict(
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
