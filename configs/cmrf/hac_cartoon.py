"""CMRF on HAC: human + animal -> cartoon.

Video, flow and audio. Paper, Table 1: 55.61 top-1 (mean of 3 seeds); the
three targets average 70.64.
"""
_base_ = ['hac_human.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['human', 'animal']
target_domains = ['cartoon']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
