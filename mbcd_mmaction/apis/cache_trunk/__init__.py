"""Storing of the frozen trunks' features: tools/data/cache_trunk.py."""
from .model import build_model
from .plan import Plan, make_plans, say_size
from .write import write_cache

__all__ = ['Plan', 'build_model', 'make_plans', 'say_size', 'write_cache']
