"""Optimizer wrappers: mixed precision where there is no GPU."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmaction.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """OptimWrapper whose forward pass runs in bfloat16 on the CPU.

    ``tools/train.py --amp`` chooses it where MMEngine's own
    ``AmpOptimWrapper`` refuses to start, which needs an accelerator. bfloat16
    has the exponents of float32, so no loss scaler is needed, and parameters,
    gradients and optimizer state stay float32.

    Args:
        **kwargs: As :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast, and accumulate as the host.

        Args:
            model (nn.Module): The model being trained.
        """
        with super().optim_context(model), torch.autocast(
                'cpu', dtype=torch.bfloat16):
            yield
