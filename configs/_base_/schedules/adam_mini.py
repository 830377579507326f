# The mini set is small and its backbones start from random weights: a larger
# step than at full size, for 16 clips each. PyTorch's own Adam and not the
# fused one, which rounds otherwise: the published runs were made with it.
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=15, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
