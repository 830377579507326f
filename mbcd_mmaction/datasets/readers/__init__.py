"""Readers of the frames and the sound of one clip."""
from .base import ClipReader
from .folder import FrameFolderReader
from .sound import SoundReader, open_sound
from .video import DECODERS, VideoReader

__all__ = [
    'DECODERS', 'ClipReader', 'FrameFolderReader', 'SoundReader',
    'VideoReader', 'open_sound'
]
