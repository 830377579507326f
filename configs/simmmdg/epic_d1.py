"""SimMMDG on EPIC-Kitchens: D2 + D3 -> D1.

Video, flow and audio. Paper, Table 1: 60.31 top-1 (mean of 3 seeds); the
three targets average 63.34.
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

# Method: SimMMDG's terms. The uni-modal heads are probes on detached
# embeddings, so that each modality can be reported.
model = dict(
    objective=dict(
        type='SimMMDG',
        translation_weight=0.1,
        contrast_weight=3.0,
        split_weight=0.7,
        temperature=0.1,
        hidden_dims=2048,
        projection_dims=128))
