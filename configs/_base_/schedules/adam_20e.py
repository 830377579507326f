# The released hyper-parameters: Adam with coupled weight decay, 20 epochs, no
# schedule, no clipping. The learning rate is for 16 clips a step. FusedAdam is
# PyTorch's Adam in one kernel, equal to rounding.
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=20, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='FusedAdam', lr=1e-4, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
