"""Fold BatchNorm into the convolutions of a frozen trunk.

In eval mode BatchNorm is a fixed scale and shift for each channel, which the
convolution before it can apply itself. The result is equal to rounding.
"""
import copy
from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .stages import WholeBackbone

__all__ = ['FoldedCopy', 'foldable_pairs']

# (owner, name of the convolution, name of the norm)
Pair = tuple[nn.Module, str, str]


class FoldedCopy:
    """A copy of a backbone whose trunk has its norms folded, kept current.

    It is built at the first call and again whenever a parameter or buffer
    of the trunk is replaced, moved, converted or written to. (A write
    through ``tensor.data`` leaves no trace in PyTorch, and none here.)

    The backbone keeps its modules, names and values, for checkpoints. The
    copy costs the trunk's folded convolutions once more; all other tensors
    are the backbone's own. Forward hooks that are put on the trunk's modules
    after the first call do not see the copy.

    Args:
        stages (WholeBackbone): Tells which modules are the trunk.
        dtype (torch.dtype, optional): Of the folded convolutions. Defaults
            to None: as they are.
    """

    def __init__(self,
                 stages: WholeBackbone,
                 dtype: torch.dtype | None = None) -> None:
        self.stages = stages
        self.dtype = dtype
        self.times_built = 0
        self._forget()

    def of(self, backbone: nn.Module) -> tuple[nn.Module, bool]:
        """The current copy, and whether it was built just now."""
        tensors = list(_tensors(self.stages.trunk_modules(backbone)))
        marks = [_mark(tensor) for tensor in tensors]
        if self._twin is not None and marks == self._marks:
            return self._twin, False
        self._twin = self._build(backbone)
        self._marks = marks
        # an alias keeps the memory from being given to other values, which
        # would bear the same address
        self._aliases = [tensor.detach() for tensor in tensors]
        self.times_built += 1
        return self._twin, True

    def _build(self, backbone: nn.Module) -> nn.Module:
        """Copy the modules, not the tensors; then fold."""
        shared = {
            id(tensor): tensor
            for tensor in chain(backbone.parameters(), backbone.buffers())
        }
        with torch.inference_mode(False), torch.no_grad():
            twin = copy.deepcopy(backbone, shared)
            for owner, conv, norm in foldable_pairs(
                    self.stages.trunk_modules(twin)):
                folded = fuse_conv_bn_eval(
                    getattr(owner, conv), getattr(owner, norm))
                setattr(owner, conv, folded.to(self.dtype))
                setattr(owner, norm, nn.Identity().eval())
                if isinstance(owner, ConvModule):
                    owner.efficient_conv_bn_eval_forward = None
        return twin

    def _forget(self) -> None:
        self._twin: nn.Module | None = None
        self._marks: list[tuple] = []
        self._aliases: list[Tensor] = []

    def __getstate__(self) -> dict:
        # neither a teacher's copy nor a file takes the folded one along
        return {**self.__dict__, '_twin': None, '_marks': [], '_aliases': []}


def foldable_pairs(parts: Iterable[nn.Module]) -> list[Pair]:
    """Each convolution with the BatchNorm that is sure to follow it.

    That is so in MMCV's ``ConvModule`` and in ``nn.Sequential``; what other
    modules do between two children is not known, and is left as it is.

    Args:
        parts (Iterable[nn.Module]): The modules of a trunk.

    Returns:
        list: (owner, name of the convolution, name of the norm).
    """
    found = []
    for part in parts:
        for module in part.modules():
            found += [(module, conv, norm) for conv, norm in _follow(module)
                      if _fits(getattr(module, conv), getattr(module, norm))]
    return found


def _follow(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children of which the second takes the first one's output."""
    if isinstance(module, ConvModule):
        order = module.order
        if module.with_norm and 'norm' in order[1:] and (
                order[order.index('norm') - 1] == 'conv'):
            yield 'conv', module.norm_name
    elif isinstance(module, nn.Sequential):
        names = list(module._modules)
        yield from zip(names, names[1:], strict=False)


def _fits(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether the two can be one convolution."""
    return (isinstance(conv, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
            and isinstance(norm, _BatchNorm)
            and norm.running_mean is not None)


def _tensors(parts: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Parameters and buffers, as they are registered at this moment."""
    for part in parts:
        for module in part.modules():
            for tensor in chain(module._parameters.values(),
                                module._buffers.values()):
                if tensor is not None:
                    yield tensor


def _mark(tensor: Tensor) -> tuple:
    """What changes when a tensor does."""
    version = -1 if tensor.is_inference() else tensor._version
    return (tensor.data_ptr(), version, tensor.device, tensor.dtype,
            tensor.shape)
