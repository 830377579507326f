"""What an objective is given, and what it answers."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..first_pass import FirstPass
from ..stages import Features

__all__ = [
    'AveragedNetwork', 'Objective', 'TrainingBatch', 'build_objective',
    'objective_losses', 'refuse_objective'
]


class AveragedNetwork:
    """What a hook lends an objective: the running average of the model.

    Args:
        module (nn.Module): The averaged recognizer, in eval mode.
        teaches (bool): Whether it is old enough to be a target.
    """

    def __init__(self, module: nn.Module, teaches: bool = False) -> None:
        self.module = module
        self.teaches = teaches

    def __deepcopy__(self, memo: dict) -> 'AveragedNetwork':
        # hooks of others (EMA) copy models; this belongs to its hook
        return self


@dataclass
class TrainingBatch:
    """One training step as an objective sees it.

    Attributes:
        embeddings (dict): z_k by modality, (N, D_k).
        unimodal_logits (dict): f^k by modality, (N, K).
        fused_logits (Tensor): (N, K).
        labels (Tensor): Classes, (N,).
        fuse (Callable): Embeddings by modality to fused logits (N, K).
        averaged (AveragedNetwork, optional): See there; None without a hook
            that keeps one.
        averaged_embeddings (Callable): z_k of the averaged network by
            modality, (N, D_k), without gradient.
    """
    embeddings: Mapping[str, Tensor]
    unimodal_logits: Mapping[str, Tensor]
    fused_logits: Tensor
    labels: Tensor
    fuse: Callable[[Mapping[str, Tensor]], Tensor]
    averaged: AveragedNetwork | None
    averaged_embeddings: Callable[[], dict[str, Tensor]]


class Objective(nn.Module):
    """Base class: a method's losses and the layers that only they use.

    The recognizer builds it with the two arguments here and those of its
    config; its parameters are trained with all others and not used at test
    time.

    Args:
        embed_dims (Mapping[str, int]): D_k by modality, in the order of the
            concatenation.
        num_classes (int): K.

    Attributes:
        trains_unimodal (bool): Whether :meth:`losses` trains the uni-modal
            heads. If False they are probes on detached embeddings, which the
            recognizer trains.
    """
    trains_unimodal = False

    def __init__(self, embed_dims: Mapping[str, int],
                 num_classes: int) -> None:
        super().__init__()
        self.embed_dims = dict(embed_dims)
        self.num_classes = num_classes

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Every weighted term by name, ``loss_*``, shape () each."""
        raise NotImplementedError


def build_objective(config: dict | None, embed_dims: Mapping[str, int],
                    num_classes: int) -> Objective | None:
    """Build an objective without moving the random generator.

    So the other weights, drawn before or after, are those of any method with
    the same seed.

    Raises:
        TypeError: If the config's class is no ``Objective``.
    """
    if config is None:
        return None
    with torch.random.fork_rng(devices=[]):
        built = MODELS.build(
            dict(config, embed_dims=dict(embed_dims),
                 num_classes=num_classes))
    if not isinstance(built, Objective):
        raise TypeError('objective: expected a class that derives from '
                        f'Objective, got {type(built).__name__}')
    return built


def refuse_objective(model: BaseModel) -> None:
    """Refuse what would add the terms of MBCD to another method's.

    Args:
        model (MultiModalRecognizer): What is to look ahead or to be taught.

    Raises:
        ValueError: It has an objective.
    """
    if model.objective is not None:
        raise ValueError(
            f'{type(model.objective).__name__} takes the place of Eq. 9: '
            'remove GradientConsistencyHook from custom_hooks, and give '
            'WATeacherDistillHook distill_weight=0 (weight averaging alone '
            'goes with an objective)')


def objective_losses(model: BaseModel, views: Mapping[str, Tensor],
                     trunk: Mapping[str, Features], first: FirstPass,
                     fused_logits: Tensor,
                     labels: Tensor) -> dict[str, Tensor]:
    """Another method's losses, and the probes' where it has none.

    Args:
        model (MultiModalRecognizer): With an objective.
        views (Mapping[str, Tensor]): Modality to (N, C, ...).
        trunk (Mapping): Modality to its trunk's features.
        first (FirstPass): Pass 1.
        fused_logits (Tensor): (N, K).
        labels (Tensor): (N,).

    Returns:
        dict[str, Tensor]: Losses of shape () by name.
    """

    def averaged_embeddings() -> dict[str, Tensor]:
        with torch.no_grad():
            return model.averaged.module.averaged_embeddings(views, trunk)

    losses = model.objective.losses(TrainingBatch(
        embeddings=first.embeddings,
        unimodal_logits=first.logits,
        fused_logits=fused_logits,
        labels=labels,
        fuse=model.fuse,
        averaged=model.averaged,
        averaged_embeddings=averaged_embeddings))
    return {**losses, **first.terms} if model.has_probes else losses
