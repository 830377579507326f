"""Transforms of ours; the rest of a pipeline is MMAction2's own."""
from .audio import AudioSpectrogram, LoadAudioClip, SpectrogramAugment
from .clip import ClipDecode, ClipInit
from .corruptions import CorruptFrames, CorruptSound
from .flow import FlowFlip
from .formatting import PackMultiModalInputs
from .multimodal_pipeline import MultiModalPipeline
from .sampling import SampleWindow, Timeline
from .view import CenterView, RandomView, View

__all__ = [
    'AudioSpectrogram', 'CenterView', 'ClipDecode', 'ClipInit',
    'CorruptFrames', 'CorruptSound', 'FlowFlip', 'LoadAudioClip',
    'MultiModalPipeline', 'PackMultiModalInputs', 'RandomView',
    'SampleWindow', 'SpectrogramAugment', 'Timeline', 'View'
]
