# The mini set is small and its backbones start from random weights: a larger
# step than at full size, for 16 clips each. FusedAdam is PyTorch's Adam in one
# kernel, equal to rounding. Validation takes a quarter as long as an epoch, so
# it is on every third.
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=15, val_begin=1, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='FusedAdam', lr=1e-3, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
