"""Clocks, memory, and how far tensors are apart."""
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from common import Setting
from torch import Tensor, nn


@contextmanager
def math_mode(precision: str) -> Iterator[None]:
    """TensorFloat-32 on for 'tf32', off for 'fp32', else as PyTorch has it.

    PyTorch's own default is on for convolutions and off for products.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    if precision in ('fp32', 'tf32'):
        cudnn.allow_tf32 = matmul.allow_tf32 = precision == 'tf32'
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def seconds(setting: Setting, call: Callable[[], object]) -> float:
    """Duration of one call: CUDA events on a GPU, else the wall clock."""
    if not setting.cuda:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    torch.cuda.synchronize()
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 1e3


def interleaved(setting: Setting, calls: Mapping[str, Callable[[], object]],
                rounds: int) -> dict[str, list[float]]:
    """Seconds of each call in each round, one round after another."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(setting, call))
    return times


def quartiles(values: list[float]) -> dict[str, float]:
    """Lower quartile, median and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return dict(q1=float(low), median=float(middle), q3=float(high))


def peak_gib(setting: Setting, call: Callable[[], object]) -> float | None:
    """GiB allocated at the worst moment of a call, beyond those before it;
    None where there is no GPU."""
    if not setting.cuda:
        call()
        return None
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**30


def clear(setting: Setting) -> None:
    """Free what earlier cases left, models that refer to themselves too."""
    gc.collect()
    if setting.cuda:
        torch.cuda.empty_cache()


def state_copy(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers, copied."""
    return {n: t.detach().clone() for n, t in model.state_dict().items()}


def largest_difference(a: Mapping[str, Tensor],
                       b: Mapping[str, Tensor]) -> float:
    """The largest absolute difference of equally named tensors."""
    return max(float((a[n].double() - b[n].double()).abs().max()) for n in a
               if a[n].numel())


def relative_error(found: Mapping[str, Tensor],
                   expected: Mapping[str, Tensor]) -> float:
    """|found - expected| / |expected| over all named tensors; nan stays."""
    gap = sum(float((found[n].double() - expected[n].double()).square().sum())
              for n in expected)
    size = sum(float(expected[n].double().square().sum()) for n in expected)
    return (gap / size)**.5


def all_finite(model: nn.Module) -> bool:
    """Whether no parameter and no buffer holds nan or infinity."""
    return all(bool(t.isfinite().all()) for t in model.state_dict().values()
               if t.is_floating_point())
