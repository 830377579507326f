"""RNA-Net on HAC: human -> cartoon.

Video, flow and audio. Paper, Table 2: 34.96 top-1 (mean of 3 seeds); the
six pairs average 55.84.
"""
_base_ = ['hac_human.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['human']
target_domains = ['cartoon']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
