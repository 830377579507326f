"""SimMMDG on EPIC-Kitchens: D1 + D2 -> D3.

Video, flow and audio. Paper, Table 1: 60.97 top-1 (mean of 3 seeds); the
three targets average 63.34.
"""
_base_ = ['epic_d1.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D1', 'D2']
target_domains = ['D3']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
