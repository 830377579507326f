"""Adam in one kernel, wherever there is one."""
import logging
from collections.abc import Iterable
from typing import Any

import torch
from mmaction.registry import OPTIMIZERS
from mmengine.logging import print_log
from torch import Tensor, nn

__all__ = ['FusedAdam']


@OPTIMIZERS.register_module()
class FusedAdam(torch.optim.Adam):
    """PyTorch's Adam with ``fused=True``, made safe to move and to resume.

    It adds two things. On a device without such a kernel it is Adam as
    PyTorch runs it by default, and the log says so. And a checkpoint resumes
    with the kernel of this run, whichever wrote it: PyTorch takes ``fused``
    from the file, which silently gives the kernel up, and ends a training
    with a loss scaler by an AssertionError.

    Args:
        params (Iterable): Parameters, or groups of them, as in
            :class:`torch.optim.Adam`.
        **kwargs: Its other arguments; ``fused`` and ``foreach`` are chosen
            here.

    Raises:
        TypeError: If ``fused`` or ``foreach`` is given.
    """

    def __init__(self, params: Iterable, **kwargs: Any) -> None:
        chosen = kwargs.keys() & {'fused', 'foreach'}
        if chosen:
            raise TypeError(
                f'FusedAdam chooses {sorted(chosen)} itself: expected none '
                "of 'fused' and 'foreach'. type='Adam' takes both")
        params = [_listed(entry) for entry in params]
        kinds = {(p.device, p.dtype) for p in _trainable(params)}
        missing = [kind for kind in kinds if not _has_kernel(*kind)]
        for device, dtype in missing:
            print_log(
                f'no fused Adam for {dtype} on {device}: steps run as '
                "PyTorch's default Adam", 'current', logging.WARNING)
        super().__init__(params, fused=not missing, **kwargs)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from any Adam's state; the kernel stays this run's.

        Args:
            state_dict (dict): As ``torch.optim.Adam.state_dict`` returns it;
                it is not changed.
        """
        own = {
            name: self.defaults[name]
            for name in ('fused', 'foreach')
        }
        groups = [{**group, **own} for group in state_dict['param_groups']]
        super().load_state_dict({**state_dict, 'param_groups': groups})


def _listed(entry: Any) -> Any:
    """A parameter group with a list, not a generator; others as they are."""
    if isinstance(entry, dict) and not isinstance(entry['params'], Tensor):
        return {**entry, 'params': list(entry['params'])}
    return entry


def _trainable(entries: list) -> Iterable[Tensor]:
    """The trainable parameters in Adam's first argument."""
    for entry in entries:
        group = entry['params'] if isinstance(entry, dict) else entry
        for param in group if isinstance(group, list) else [group]:
            if isinstance(param, tuple):  # (name, parameter)
                param = param[1]
            if param.requires_grad:
                yield param


def _has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a fused step runs there: one is taken on one number."""
    param = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))
    param.grad = torch.zeros_like(param)
    try:
        torch.optim.Adam([param], fused=True).step()
    except RuntimeError:
        return False
    return True
