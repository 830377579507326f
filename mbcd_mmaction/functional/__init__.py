"""The method's equations: tensors in, tensors out, torch only."""
from .distillation import kl_divergence
from .embedding_losses import (
    direction_distance,
    mix_projections,
    relative_norm_alignment,
    split_distance,
    supervised_contrastive,
)
from .entropy import (
    entropy_weighted_loss,
    entropy_weights,
    prediction_entropy,
)
from .fast_weights import (
    alignment_penalty,
    average_across_ranks,
    cosine_penalty,
    fast_weights,
    gradient_inner_product,
    inner_gradients,
)
from .feature_perturbation import dsu
from .jigsaw import jigsaw_puzzles, sample_permutations
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
    'cosine_penalty', 'direction_distance', 'dominance_ratio', 'drop_prob',
    'dsu', 'effective_decay', 'entropy_weighted_loss', 'entropy_weights',
    'fast_weights', 'gradient_inner_product', 'inner_gradients',
    'jigsaw_puzzles', 'kl_divergence', 'mix_projections', 'prediction_entropy',
    'relative_norm_alignment', 'sample_keep_mask', 'sample_permutations',
    'split_distance', 'supervised_contrastive', 'take_gradients',
    'weight_average_', 'with_gradients'
]
