"""Datasets, their transforms and the mini set."""
from . import transforms
from .annotations import read_annotations
from .epic import EpicKitchensDataset
from .errors import ClipReadError, MediaError, ReadFailure
from .hac import HACDataset
from .manifest import ManifestDataset
from .manifest_file import read_manifest
from .multimodal import MultiModalDataset
from .seeding import mbcd_worker_init

__all__ = [
    'ClipReadError', 'EpicKitchensDataset', 'HACDataset', 'ManifestDataset',
    'MediaError', 'MultiModalDataset', 'ReadFailure', 'mbcd_worker_init',
    'read_annotations', 'read_manifest', 'transforms'
]
