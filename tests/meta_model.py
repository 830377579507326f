"""Full-size models without their memory."""
import copy

import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope


def build_on_meta(config):
    """The model of a config on the meta device: shapes, no numbers.

    Args:
        config (Config): A whole experiment; not changed.
    """
    init_default_scope('mmaction')
    with torch.device('meta'):
        return MODELS.build(copy.deepcopy(config.model))
