"""Section 1: what the figures were measured on."""
import importlib
import os
import platform

import torch
from common import Setting

PACKAGES = ('numpy', 'mmengine', 'mmcv', 'mmaction', 'mbcd_mmaction', 'av',
            'triton', 'pynvml')


def run(setting: Setting) -> dict:
    """Machine, GPU, driver, and versions; None for what is not there."""
    data = dict(
        device=str(setting.device), python=platform.python_version(),
        system=platform.platform(terse=True), cpu_cores=os.cpu_count(),
        torch=torch.__version__, cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version() if setting.cuda else None,
        nccl=nccl_version() if setting.cuda else None, gpu=None,
        driver=None, packages={name: version(name) for name in PACKAGES})
    if setting.cuda:
        data.update(gpu=gpu_properties(setting.device),
                    driver=driver_version())
    return data


def version(name: str) -> str | None:
    """A package's version, None where it cannot be imported."""
    try:
        return str(getattr(importlib.import_module(name), '__version__',
                           'unknown'))
    except ImportError:
        return None


def nccl_version() -> str | None:
    """NCCL's version, where PyTorch has it."""
    try:
        return '.'.join(map(str, torch.cuda.nccl.version()))
    except (AttributeError, RuntimeError):
        return None


def gpu_properties(device: torch.device) -> dict:
    """Name, memory and size of the GPU."""
    found = torch.cuda.get_device_properties(device)
    return dict(name=found.name, memory_gib=found.total_memory / 2**30,
                multiprocessors=found.multi_processor_count,
                capability=f'{found.major}.{found.minor}')


def driver_version() -> str | None:
    """The driver's version by NVML, where pynvml is installed."""
    try:
        import pynvml
        pynvml.nvmlInit()
        found = pynvml.nvmlSystemGetDriverVersion()
    except Exception:  # of NVML there are many kinds
        return None
    return found.decode() if isinstance(found, bytes) else str(found)
