"""CMRF on HAC: animal + cartoon -> human.

Video, flow and audio. Paper, Table 1: 78.25 top-1 (mean of 3 seeds); the
three targets average 70.64.
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

# Method: CMRF, validated and tested with the averaged network.
model = dict(
    num_classes=7,
    objective=dict(
        type='CMRF',
        unimodal_weight=2.0,
        contrast_weight=3.0,
        distill_weight=3.0,
        modality_weights=dict(audio=0.5),  # 1 where not named
        mix_concentration=0.1,
        temperature=0.1,
        hidden_dims=2048,
        projection_dims=128))
custom_hooks = [dict(type='SimpleMovingAverageHook', start_step=100)]
