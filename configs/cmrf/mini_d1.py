"""CMRF on the mini set: D2 + D3 -> D1.

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

# Method: CMRF, validated and tested with the averaged network. Weights as at
# full size, the layers of its own narrow. The mean begins after one epoch (22
# steps).
model = dict(
    objective=dict(
        type='CMRF',
        unimodal_weight=2.0,
        contrast_weight=3.0,
        distill_weight=3.0,
        modality_weights=dict(audio=0.5),  # 1 where not named
        mix_concentration=0.1,
        temperature=0.1,
        hidden_dims=512,
        projection_dims=32))
custom_hooks = [dict(type='SimpleMovingAverageHook', start_step=22)]
