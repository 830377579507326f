"""ERM on your own videos: home + office -> street.

Video, flow and audio. docs/own_data.md goes from a folder of videos to here.
"""
# What to edit. ann_file: the manifest that tools/data/make_manifest.py or you
# have written. classes: the names of its labels, in any fixed order.
ann_file = 'data/mine/manifest.csv'
classes = ['jump', 'run', 'wave']
source_domains = ['home', 'office']
target_domains = ['street']
# That is all.

_base_ = [
    '../_base_/models/slowfast-r101_slowonly-r50_resnet18.py',
    '../_base_/datasets/manifest_video-flow-audio.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

# Protocol: the target domain reaches the test loader and nothing else.
train_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=source_domains))
val_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=source_domains))
test_dataloader = dict(
    dataset=dict(ann_file=ann_file, classes=classes, domains=target_domains))

# Method: the fused cross-entropy alone. The uni-modal heads are probes on
# detached embeddings, so that each modality can be reported.
model = dict(num_classes=len(classes), unimodal_loss_weight=0.0)
