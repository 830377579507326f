"""TSN R50 on Kinetics-400, taught by its own weight average.

docs/mixing.md tells what the hooks need, cost and log.
"""
# The config as the installed MMAction2 brings it; a path to yours does too.
_base_ = (
    __import__('mmaction').__path__[0] + '/.mim/configs/'
    'recognition/tsn/'
    'tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py')

custom_imports = dict(imports=['mbcd_mmaction'], allow_failed_imports=False)
custom_hooks = [
    dict(type='WATeacherDistillHook', ema_decay=0.999,  # Eq. 7; 0 copies
         distill_weight=1.0),  # Eq. 8-9; 0 is off
]
