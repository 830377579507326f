"""RGBPose-Conv3D on NTU RGB+D: video and skeleton agree, the average teaches.

docs/mixing.md tells what the hooks need, cost and log.
"""
# The config as the installed MMAction2 brings it; a path to yours does too.
_base_ = (
    __import__('mmaction').__path__[0] + '/.mim/configs/'
    'skeleton/posec3d/rgbpose_conv3d/rgbpose_conv3d.py')

custom_imports = dict(imports=['mbcd_mmaction'], allow_failed_imports=False)
custom_hooks = [
    dict(type='GradientConsistencyHook', inner_lr=1e-4,  # Eq. 5; 0 is off
         inner_losses=['rgb_loss_cls'], outer_losses=['pose_loss_cls'],
         params='^backbone'),
    dict(type='WATeacherDistillHook', ema_decay=0.999,  # Eq. 7; 0 copies
         distill_weight=1.0),  # Eq. 8-9; 0 is off
]
