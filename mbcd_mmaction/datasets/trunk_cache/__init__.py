"""Trunk features on disk: their layout, their writer and their reader."""
from .layout import Column, Description, clip_key
from .reader import TrunkCache
from .writer import CacheWriter

__all__ = ['CacheWriter', 'Column', 'Description', 'TrunkCache', 'clip_key']
