"""The method's equations: tensors in, tensors out, torch only."""
from .distillation import kl_divergence
from .fast_weights import (
    alignment_penalty,
    average_across_ranks,
    cosine_penalty,
    fast_weights,
    gradient_inner_product,
    inner_gradients,
)
from .feature_perturbation import dsu
from .known_gradient import take_gradients, with_gradients
from .modality_balance import (
    confidence,
    dominance_ratio,
    drop_prob,
    sample_keep_mask,
)
from .weight_average import effective_decay, weight_average_

__all__ = [
    'alignment_penalty', 'average_across_ranks', 'confidence',
    'cosine_penalty', 'dominance_ratio', 'drop_prob', 'dsu',
    'effective_decay', 'fast_weights', 'gradient_inner_product',
    'inner_gradients', 'kl_divergence', 'sample_keep_mask',
    'take_gradients', 'weight_average_', 'with_gradients'
]
