"""MOOSA on the mini set: D1 + D2 -> D3.

Video, flow and audio.
"""
_base_ = ['mini_d1.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['D1', 'D2']
target_domains = ['D3']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
