"""ERM with weight averaging (EMA) on HAC: cartoon -> human.

Video, flow and audio. The paper prints no figure for this.
"""
_base_ = ['hac_human.py']

# Protocol: the target domain reaches the test loader and nothing else.
source_domains = ['cartoon']
target_domains = ['human']
train_dataloader = dict(dataset=dict(domains=source_domains))
val_dataloader = dict(dataset=dict(domains=source_domains))
test_dataloader = dict(dataset=dict(domains=target_domains))
