"""Transforms of ours; the rest of a pipeline is MMAction2's own."""
from .audio import AudioSpectrogram, LoadAudioClip, SpectrogramAugment
from .clip import ClipDecode, ClipInit
from .flow import FlowFlip
from .formatting import PackMultiModalInputs
from .multimodal_pipeline import MultiModalPipeline

__all__ = [
    'AudioSpectrogram', 'ClipDecode', 'ClipInit', 'FlowFlip', 'LoadAudioClip',
    'MultiModalPipeline', 'PackMultiModalInputs', 'SpectrogramAugment'
]
