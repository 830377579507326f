"""Seconds, FLOPs and live bytes of a step, phase by phase.

Helper of benchmarks/step.py.
"""
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode


class Seconds:
    """Wall time; a CUDA device is waited for."""

    def __init__(self, device: str = 'cpu') -> None:
        self.waits = device == 'cuda'
        self.last = self._now()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.last = self.last, self._now()
        return self.last - before

    def _now(self) -> float:
        if self.waits:
            torch.cuda.synchronize()
        return time.perf_counter()

    add = staticmethod(float.__add__)


class Flops(FlopCounterMode):
    """Convolutions and matrix products, two for a multiply and add."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.last = 0

    def lap(self) -> int:
        """FLOPs since the last lap."""
        before, self.last = self.last, self.get_total_flops()
        return self.last - before

    add = staticmethod(int.__add__)


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors held at a time.

    Counts each storage once, from the operator that returned it to its end:
    parameters, buffers, gradients, the optimizer's state, inputs (name what
    was there before with :meth:`add_tensors`), activations, whatever holds
    them. What an operator uses inside itself and gives back is not seen.
    Tensors on the meta device count as if they were real.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._storages: dict[int, weakref.ref] = {}

    def add_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Count these from now on."""
        for tensor in tensors:
            self._see(tensor)

    def lap(self) -> int:
        """The peak since the last lap."""
        peak, self.peak = self.peak, self.live
        return peak

    add = staticmethod(max)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_iter(out):
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._storages:
            return

        def end(_):
            del self._storages[key]
            self.live -= size

        self._storages[key] = weakref.ref(storage, end)
        self.live += size
        self.peak = max(self.peak, self.live)


class CudaPeak:
    """The allocator's peak, bytes, less what others hold throughout."""

    def __init__(self, others: int) -> None:
        self.others = others

    def lap(self) -> int:
        """The peak since the last lap."""
        peak = torch.cuda.max_memory_allocated() - self.others
        torch.cuda.reset_peak_memory_stats()
        return peak

    add = staticmethod(max)


class Phases:
    """Charges what meters measure to the innermost phase that runs.

    Args:
        **meters: Name to an object with ``lap`` (what was used since the
            last) and ``add`` (two amounts to one).

    Attributes:
        amounts (dict): Meter to phase to its amount.
    """

    def __init__(self, **meters) -> None:
        self.meters = meters
        self.amounts: dict[str, dict] = {name: {} for name in meters}
        self._running: list[str] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Run a phase; one that is running waits for it."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def total(self, meter: str):
        """All phases of one meter as one amount."""
        amounts = list(self.amounts[meter].values())
        whole = amounts[0]
        for amount in amounts[1:]:
            whole = self.meters[meter].add(whole, amount)
        return whole

    def _charge(self) -> None:
        for meter_name, meter in self.meters.items():
            used = meter.lap()
            if not self._running:
                continue
            amounts = self.amounts[meter_name]
            name = self._running[-1]
            amounts[name] = (
                meter.add(amounts[name], used) if name in amounts else used)
