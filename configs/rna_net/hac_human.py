"""RNA-Net on HAC: animal + cartoon -> human.

Video, flow and audio. Paper, Table 1: 76.02 top-1 (mean of 3 seeds); the
three targets average 65.18.
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

# Method: cross-entropy, and equal norms of all embeddings. The uni-modal heads
# are probes on detached embeddings, so that each modality can be reported.
model = dict(num_classes=7, objective=dict(type='RNANet', norm_weight=1.0))
