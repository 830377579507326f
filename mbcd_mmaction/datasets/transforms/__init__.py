"""Transforms of ours; the rest of a pipeline is MMAction2's own."""
from .audio import AudioSpectrogram, LoadAudioClip, SpectrogramAugment
from .flow import FlowFlip, FlowVideoDecode, FlowVideoInit
from .formatting import PackMultiModalInputs
from .multimodal_pipeline import MultiModalPipeline
from .sampling import SampleWindow, Timeline
from .video_reader import VideoReader
from .view import CenterView, RandomView, View

__all__ = [
    'AudioSpectrogram', 'CenterView', 'FlowFlip', 'FlowVideoDecode',
    'FlowVideoInit', 'LoadAudioClip', 'MultiModalPipeline',
    'PackMultiModalInputs', 'RandomView', 'SampleWindow',
    'SpectrogramAugment', 'Timeline', 'VideoReader', 'View'
]
