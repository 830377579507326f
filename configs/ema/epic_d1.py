"""ERM with weight averaging (EMA) on EPIC-Kitchens: D2 + D3 -> D1.

Video, flow and audio. The paper prints no figure for this row with three
modalities (Table 4, flow and audio: 57.52).
"""
_base_ = [
    '../_base_/models/slowfast-r101_slowonly-r50_resnet18.py',
    '../_base_/datasets/epic_video-flow-audio.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D2', 'D3']
target_domains = ['D1']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))

# Method: ERM (uni-modal heads are probes), validated and tested with the
# averaged weights of Eq. 7; no distillation.
model = dict(unimodal_loss_weight=0.0)
custom_hooks = [
    dict(
        type='WATeacherDistillHook',
        ema_decay=0.999,  # Eq. 7, weight on the past; 0 copies the student
        distill_weight=0.0)
]
