"""MOOSA on HAC: cartoon -> animal.

Video, flow and audio. Paper, Table 2: 68.18 top-1 (mean of 3 seeds); the
six pairs average 60.45.
"""
_base_ = ['hac_human.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['cartoon']
target_domains = ['animal']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
