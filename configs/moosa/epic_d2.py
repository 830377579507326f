"""MOOSA on EPIC-Kitchens: D1 + D3 -> D2.

Video, flow and audio. Paper, Table 1: 67.38 top-1 (mean of 3 seeds); the
three targets average 63.87.
"""
_base_ = ['epic_d1.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D1', 'D3']
target_domains = ['D2']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
