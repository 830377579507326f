"""MOOSA on EPIC-Kitchens: D3 -> D2.

Video, flow and audio. Paper, Table 2: 65.27 top-1 (mean of 3 seeds); the
six pairs average 55.58.
"""
_base_ = ['epic_d1.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D3']
target_domains = ['D2']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
