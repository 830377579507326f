"""Transforms of ours; the rest of a pipeline is MMAction2's own."""
from .audio import AudioSpectrogram, LoadAudioClip, SpectrogramAugment
from .flow import FlowFlip, FlowVideoDecode, FlowVideoInit
from .formatting import PackMultiModalInputs
from .multimodal_pipeline import MultiModalPipeline
from .video_reader import VideoReader

__all__ = [
    'AudioSpectrogram', 'FlowFlip', 'FlowVideoDecode', 'FlowVideoInit',
    'LoadAudioClip', 'MultiModalPipeline', 'PackMultiModalInputs',
    'SpectrogramAugment', 'VideoReader'
]
