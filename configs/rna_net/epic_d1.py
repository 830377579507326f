"""RNA-Net on EPIC-Kitchens: D2 + D3 -> D1.

Video, flow and audio. Paper, Table 1: 47.12 top-1 (mean of 3 seeds); the
three targets average 51.18.
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

# Method: cross-entropy, and equal norms of all embeddings. The uni-modal heads
# are probes on detached embeddings, so that each modality can be reported.
model = dict(objective=dict(type='RNANet', norm_weight=1.0))
