"""RNA-Net on the mini set: D2 + D3 -> D1.

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

# Method: cross-entropy, and equal norms of all embeddings. The uni-modal heads
# are probes on detached embeddings, so that each modality can be reported.
model = dict(objective=dict(type='RNANet', norm_weight=1.0))
