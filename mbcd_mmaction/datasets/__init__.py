"""Datasets, their transforms and the mini set."""
from . import transforms
from .annotations import read_annotations
from .epic import EpicKitchensDataset
from .errors import ClipReadError, MediaError, ReadFailure
from .multimodal import MultiModalDataset
from .seeding import mbcd_worker_init

__all__ = [
    'ClipReadError', 'EpicKitchensDataset', 'MediaError', 'MultiModalDataset',
    'ReadFailure', 'mbcd_worker_init', 'read_annotations', 'transforms'
]
