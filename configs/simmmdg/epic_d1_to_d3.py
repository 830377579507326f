"""SimMMDG on EPIC-Kitchens: D1 -> D3.

Video, flow and audio. Paper, Table 2: 49.21 top-1 (mean of 3 seeds); the
six pairs average 55.55.
"""
_base_ = ['epic_d1.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D1']
target_domains = ['D3']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
