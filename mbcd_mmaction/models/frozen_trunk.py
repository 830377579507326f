"""Run a frozen trunk faster than exactly: four options, which combine."""
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from .fold_norm import FoldedCopy, foldable_pairs
from .stages import Features, WholeBackbone

__all__ = ['FrozenTrunk', 'build_frozen_trunk']

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}
OPTIONS = ('precision', 'fold_norm', 'channels_last', 'compile')
# modes of torch.compile that keep results in memory they write again
GRAPH_MODES = ('reduce-overhead', 'max-autotune')


class FrozenTrunk:
    """Runs the trunk of a backbone under the options of ``Branch(trunk=)``.

    No option adds, removes or renames a tensor of the state dict. Without
    one of them the trunk runs through its stages as it is.

    Args:
        stages (WholeBackbone): How the backbone is cut.
        precision (str, optional): 'bf16' or 'fp16' (not on a CPU) runs the
            trunk under autocast; its features return in the input's dtype.
            Not exact. Defaults to None.
        fold_norm (bool): Run a copy with BatchNorm folded into the
            convolutions, see :class:`~mbcd_mmaction.models.fold_norm
            .FoldedCopy` for what it costs. Equal to rounding. Defaults to
            False.
        channels_last (bool): Keep the trunk's weights and input in
            channels_last (2D) or channels_last_3d memory; features return
            contiguous. The weights' strides change in place, where they are
            not a folded copy's. Equal to rounding. Defaults to False.
        compile (bool or dict): ``torch.compile`` the trunk alone; a dict
            holds that function's keyword arguments, over ``dynamic=False``:
            shapes hardly change, and code for any shape is slower and on a
            CPU may fail to compile. Equal to rounding. Defaults to False.
    """

    def __init__(self,
                 stages: WholeBackbone,
                 precision: str | None = None,
                 fold_norm: bool = False,
                 channels_last: bool = False,
                 compile: bool | Mapping[str, Any] = False) -> None:
        self.stages = stages
        self.dtype = DTYPES[precision] if precision else None
        self.folded = FoldedCopy(stages, self.dtype) if fold_norm else None
        self.channels_last = channels_last
        self.compile = (dict(compile) if isinstance(compile, Mapping) else
                        {} if compile else None)
        self._compiled = None
        self._found_finite = False

    def __call__(self, backbone: nn.Module, x: Tensor) -> Features:
        """The trunk's features, without gradient.

        Args:
            backbone (nn.Module): The whole backbone.
            x (Tensor): Its input, (N, C, ...).

        Returns:
            Tensor or tuple: Contiguous features at the cut, in the input's
            dtype where a precision is set.

        Raises:
            ValueError: If the input's device, dtype or shape does not go
                with an option.
            FloatingPointError: If finite input gives features that are not,
                at a lower precision. Looked at on a CPU in each step; on
                other devices, where it means to wait for them, in the first.
        """
        backbone = self._prepare(backbone, x)
        run = self.stages.trunk if self.compile is None else self._compile()
        given = x
        if self.channels_last:
            given = x.contiguous(memory_format=LAYOUTS[x.ndim])
        lower = nullcontext() if self.dtype is None else torch.autocast(
            x.device.type, dtype=self.dtype)
        with torch.no_grad(), lower:
            out = run(backbone, given)
        if isinstance(out, Tensor):
            out = self._restore(out, x)
        else:
            out = tuple(self._restore(part, x) for part in out)
        if self.dtype is not None:
            self._check_finite(x, out)
        return out

    @torch.compiler.disable
    def _prepare(self, backbone: nn.Module, x: Tensor) -> nn.Module:
        """Refuse what cannot be run; the backbone that is to run."""
        if self.dtype is not None:
            _check_dtype(x, self.dtype)
        if self.channels_last and x.ndim not in LAYOUTS:
            raise ValueError(
                'trunk channels_last=True: expected input (N, C, H, W) or '
                f'(N, C, T, H, W), got {tuple(x.shape)}')
        built = False
        if self.folded is not None:
            backbone, built = self.folded.of(backbone)
        if self.channels_last and (self.folded is None or built):
            _lay_channels_last(self.stages.trunk_modules(backbone))
        return backbone

    @torch.compiler.disable
    def _compile(self):
        """The compiled trunk, made once."""
        if self._compiled is None:
            self._compiled = torch.compile(
                self.stages.trunk, **{'dynamic': False, **self.compile})
        return self._compiled

    def _restore(self, features: Tensor, x: Tensor) -> Tensor:
        """Features as the last stage would get them without options."""
        if self.compile and self.compile.get('mode') in GRAPH_MODES:
            features = features.clone()
        if self.dtype is not None:
            features = features.to(x.dtype)
        return features.contiguous()

    @torch.compiler.disable
    def _check_finite(self, x: Tensor, out: Features) -> None:
        """Refuse features that the lower precision spoilt."""
        if self._found_finite and x.device.type != 'cpu':
            return
        parts = [out] if isinstance(out, Tensor) else out
        if all(part.isfinite().all() for part in parts):
            self._found_finite = True
            return
        if not x.isfinite().all():
            return  # nan in, nan out: not the precision's doing
        raise FloatingPointError(
            f'the trunk of {type(self.stages).__name__} gives nan or inf in '
            f'{self.dtype} from finite input: train without trunk.precision, '
            "or with 'bf16' where it is 'fp16', whose range is smaller")

    def __getstate__(self) -> dict:
        # compiled code is made again where it is wanted
        return {**self.__dict__, '_compiled': None}


def build_frozen_trunk(options: Mapping[str, Any] | None,
                       stages: WholeBackbone,
                       backbone: nn.Module,
                       trunk_norm: str,
                       modality: str | None = None) -> FrozenTrunk | None:
    """Check the options of a branch's ``trunk`` and make its runner.

    Args:
        options (Mapping, optional): Some of ``precision``, ``fold_norm``,
            ``channels_last`` and ``compile``, see :class:`FrozenTrunk`.
        stages (WholeBackbone): How the backbone is cut.
        backbone (nn.Module): The built backbone.
        trunk_norm (str): 'frozen' or 'batch', see Branch.
        modality (str, optional): For messages.

    Returns:
        FrozenTrunk: None where no option is set.

    Raises:
        TypeError: If the options are no dict.
        ValueError: If one is unknown, has no such value or does not go with
            this trunk.
    """
    if options is None:
        return None
    where = 'trunk' if modality is None else f'trunk of branch {modality!r}'
    if not isinstance(options, Mapping):
        raise TypeError(f'{where}: expected a dict with some of '
                        f'{list(OPTIONS)}, got {options!r}')
    _check_values(options, where)
    if not any(value or isinstance(value, Mapping)
               for value in options.values()):
        return None
    parts = stages.trunk_modules(backbone)
    if not parts:
        raise ValueError(
            f'{where}: {sorted(options)} are for a frozen trunk, and '
            f'{type(backbone).__name__} has none (trunk_stages=-1, or a '
            'family that is not cut): cut it, or give the branch trunk=None')
    if options.get('fold_norm') and trunk_norm != 'frozen':
        raise ValueError(
            f"{where}: fold_norm=True expects trunk_norm='frozen', got "
            f'{trunk_norm!r}: batch statistics cannot be folded into weights')
    if options.get('fold_norm') and not foldable_pairs(parts):
        raise ValueError(
            f'{where}: fold_norm=True found no convolution followed by '
            f'BatchNorm in {type(backbone).__name__} (it looks into '
            'ConvModule and nn.Sequential): leave it out')
    return FrozenTrunk(stages, **options)


def _check_values(options: Mapping[str, Any], where: str) -> None:
    """Refuse unknown options and values."""
    unknown = options.keys() - set(OPTIONS)
    if unknown:
        raise ValueError(f'{where}: unknown options {sorted(unknown)}, '
                         f'expected some of {list(OPTIONS)}')
    precision = options.get('precision')
    if precision is not None and precision not in DTYPES:
        raise ValueError(f'{where}: precision must be None or one of '
                         f'{list(DTYPES)}, got {precision!r}')
    for name in ('fold_norm', 'channels_last', 'compile'):
        value = options.get(name, False)
        if isinstance(value, bool):
            continue
        if name != 'compile':
            raise ValueError(f'{where}: {name} must be True or False, got '
                             f'{value!r}')
        if not isinstance(value, Mapping):
            raise ValueError(
                f'{where}: compile must be True, False or a dict of '
                f"torch.compile's arguments, got {value!r}")


def _check_dtype(x: Tensor, dtype: torch.dtype) -> None:
    """Refuse input on which autocast does nothing, or cannot."""
    if not torch.amp.is_autocast_available(x.device.type):
        raise ValueError('trunk.precision: PyTorch has no autocast for '
                         f'{x.device.type}')
    if x.dtype == torch.float64:
        raise ValueError('trunk.precision: autocast leaves float64 as it is; '
                         'expected float32 input, got float64')
    if x.device.type == 'cpu' and dtype == torch.float16:
        raise ValueError("trunk.precision='fp16' is for accelerators: "
                         "expected 'bf16' on a CPU")


def _lay_channels_last(parts: Iterable[nn.Module]) -> None:
    """Change the strides of convolutions' weights, in place."""
    for part in parts:
        for param in part.parameters():
            layout = LAYOUTS.get(param.ndim)
            if layout and not param.is_contiguous(memory_format=layout):
                param.data = param.data.contiguous(memory_format=layout)
