"""Metrics per modality and per domain."""
from .multimodal_acc import MultiModalAccMetric

__all__ = ['MultiModalAccMetric']
