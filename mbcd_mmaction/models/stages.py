"""Where a backbone is cut: a frozen trunk below, a trainable rest above.

Each class runs the two halves of one family of MMAction2 backbones. Run one
after the other they are the stock forward, bit for bit. They keep no state:
the backbone is an argument, so that a copied branch runs its own weights.
"""
from collections.abc import Sequence

import torch
from mmaction.models.backbones import (
    ResNet,
    ResNet2Plus1d,
    ResNet3d,
    ResNet3dSlowFast,
    ResNetAudio,
)
from torch import Tensor, nn

from .audio_resnet import AudioResNet

__all__ = [
    'ResNetStages', 'SlowFastStages', 'WholeBackbone', 'build_stages',
    'register_stages'
]

Features = Tensor | tuple[Tensor, ...]


class WholeBackbone:
    """No cut: the trunk is the identity and all of the backbone trains.

    Args:
        num_trunk_stages (int): -1; the children of this class are given the
            number of stages below their cut.
    """

    def __init__(self, num_trunk_stages: int = -1) -> None:
        self.num_trunk_stages = num_trunk_stages

    @property
    def is_cut(self) -> bool:
        """Whether something lies below a cut."""
        return self.num_trunk_stages >= 0

    def trunk_modules(self, backbone: nn.Module) -> list[nn.Module]:
        """The modules below the cut: none."""
        return []

    def trunk(self, backbone: nn.Module, x: Tensor) -> Features:
        """The input itself."""
        return x

    def last_stage(self, backbone: nn.Module, h: Features) -> Features:
        """The stock forward."""
        return backbone(h)

    def pathways(self, out: Features) -> Sequence[Tensor]:
        """The feature maps whose pooled channels form the embedding.

        Of a tuple (several levels, or patch tokens and a class token) the
        last tensor is taken.
        """
        while isinstance(out, (tuple, list)):
            out = out[-1]
        return [out]


class ResNetStages(WholeBackbone):
    """Cut of ResNet3d (and SlowOnly), ResNet and the audio ResNets.

    Args:
        num_trunk_stages (int): Residual stages below the cut; the stem is
            below it too. -1 makes no cut.
    """

    @staticmethod
    def count_stages(backbone: nn.Module) -> int:
        """Residual stages of a backbone."""
        return len(backbone.res_layers)

    def trunk_modules(self, backbone: nn.Module) -> list[nn.Module]:
        """Stem and the first residual stages."""
        if not self.is_cut:
            return []
        layers = backbone.res_layers[:self.num_trunk_stages]
        return [backbone.conv1] + [getattr(backbone, n) for n in layers]

    def trunk(self, backbone: nn.Module, x: Tensor) -> Features:
        """Input (N, C, ...) to the features at the cut."""
        if not self.is_cut:
            return x
        x = backbone.conv1(x)
        if self._pools(backbone, 1):
            x = backbone.maxpool(x)
        return self._run(backbone, x, 0, self.num_trunk_stages)

    def last_stage(self, backbone: nn.Module, h: Features) -> Features:
        """Features at the cut to the last feature map."""
        if not self.is_cut:
            return backbone(h)
        return self._run(backbone, h, self.num_trunk_stages,
                         len(backbone.res_layers))

    def _run(self, backbone: nn.Module, x: Tensor, start: int,
             stop: int) -> Tensor:
        for i in range(start, stop):
            x = getattr(backbone, backbone.res_layers[i])(x)
            if i == 0 and self._pools(backbone, 2):
                x = backbone.pool2(x)
        return x

    def _pools(self, backbone: nn.Module, number: int) -> bool:
        """Whether the forward runs the first or second pooling layer."""
        return getattr(backbone, f'with_pool{number}',
                       number == 1 and hasattr(backbone, 'maxpool'))


class ResNet2Plus1dStages(ResNetStages):
    """Cut of R(2+1)D, which runs its first pooling layer and never the
    second, whatever it was built with; arguments as of ResNetStages."""

    def _pools(self, backbone: nn.Module, number: int) -> bool:
        """The first."""
        return number == 1


class SlowFastStages(WholeBackbone):
    """Cut of SlowFast: both pathways and the laterals between them.

    Args:
        num_trunk_stages (int): Residual stages below the cut, with their
            laterals; the stems are below it too. -1 makes no cut.
    """

    @staticmethod
    def count_stages(backbone: nn.Module) -> int:
        """Residual stages of either pathway."""
        return len(backbone.slow_path.res_layers)

    def trunk_modules(self, backbone: nn.Module) -> list[nn.Module]:
        """Stems, first residual stages and laterals of both pathways."""
        if not self.is_cut:
            return []
        slow, fast = backbone.slow_path, backbone.fast_path
        names = ['conv1', *slow.res_layers[:self.num_trunk_stages]]
        modules = [getattr(path, n) for path in (slow, fast) for n in names]
        if slow.lateral:
            laterals = slow.lateral_connections[:self.num_trunk_stages]
            modules += [
                getattr(slow, n) for n in ['conv1_lateral', *laterals]
            ]
        return modules

    def trunk(self, backbone: nn.Module, x: Tensor) -> Features:
        """Input (N, C, T, H, W) to (slow, fast) features at the cut."""
        if not self.is_cut:
            return x
        slow, fast = backbone.slow_path, backbone.fast_path
        x_slow = self._every_nth_frame(x, backbone.resample_rate)
        x_slow = slow.maxpool(slow.conv1(x_slow))
        x_fast = self._every_nth_frame(
            x, backbone.resample_rate // backbone.speed_ratio)
        x_fast = fast.maxpool(fast.conv1(x_fast))
        if slow.lateral:
            x_slow = torch.cat((x_slow, slow.conv1_lateral(x_fast)), dim=1)
        return self._run(backbone, x_slow, x_fast, 0, self.num_trunk_stages)

    def last_stage(self, backbone: nn.Module, h: Features) -> Features:
        """(slow, fast) features at the cut to the last pair of maps."""
        if not self.is_cut:
            return backbone(h)
        return self._run(backbone, *h, self.num_trunk_stages,
                         len(backbone.slow_path.res_layers))

    def pathways(self, out: Features) -> Sequence[Tensor]:
        """Fast, then slow: the order of MMAction2's SlowFastHead."""
        x_slow, x_fast = out
        return [x_fast, x_slow]

    @staticmethod
    def _every_nth_frame(x: Tensor, step: int) -> Tensor:
        return nn.functional.interpolate(
            x, mode='nearest', scale_factor=(1.0 / step, 1.0, 1.0))

    def _run(self, backbone: nn.Module, x_slow: Tensor, x_fast: Tensor,
             start: int, stop: int) -> tuple[Tensor, Tensor]:
        slow, fast = backbone.slow_path, backbone.fast_path
        for i in range(start, stop):
            name = slow.res_layers[i]
            x_slow, x_fast = (getattr(slow, name)(x_slow),
                              getattr(fast, name)(x_fast))
            if slow.lateral and i != len(slow.res_layers) - 1:
                lateral = getattr(slow, slow.lateral_connections[i])
                x_slow = torch.cat((x_slow, lateral(x_fast)), dim=1)
        return x_slow, x_fast


_FAMILIES: list[tuple[type[nn.Module], type[WholeBackbone]]] = [
    (ResNet3dSlowFast, SlowFastStages), (ResNet3d, ResNetStages),
    (ResNet2Plus1d, ResNet2Plus1dStages),
    (ResNet, ResNetStages), (ResNetAudio, ResNetStages),
    (AudioResNet, ResNetStages)
]
_REGISTERED: list[tuple[type[nn.Module], type[WholeBackbone]]] = []


def register_stages(backbone_type: type[nn.Module],
                    family: type[WholeBackbone]) -> None:
    """Tell how backbones of a type (and its children) are cut.

    Args:
        backbone_type (type): The backbone's class.
        family (type): A cut with the methods of :class:`ResNetStages`.
    """
    _REGISTERED.insert(0, (backbone_type, family))


def build_stages(backbone: nn.Module,
                 trunk_stages: int | None = None) -> WholeBackbone:
    """Choose how a backbone is cut.

    Args:
        backbone (nn.Module): A built backbone.
        trunk_stages (int, optional): Residual stages in the frozen trunk:
            None takes all but the last (the paper's layer4) where the family
            can be cut and none elsewhere, 0 freezes the stem alone, -1
            leaves the whole backbone trainable.

    Returns:
        WholeBackbone: The cut.

    Raises:
        ValueError: If this backbone cannot be cut there.
    """
    family = _family_of(backbone)
    if family is None and trunk_stages in (None, -1):
        return WholeBackbone()
    if family is None:
        raise ValueError(
            f'trunk_stages={trunk_stages}: {type(backbone).__name__} cannot '
            'be cut into trunk and last stage (ResNet3d, SlowOnly, SlowFast, '
            'ResNet and audio ResNets can, see register_stages for others); '
            'use trunk_stages=-1 to train all of it')
    stages = family.count_stages(backbone)
    if trunk_stages is None:
        trunk_stages = stages - 1
    if not -1 <= trunk_stages < stages:
        raise ValueError(
            f'trunk_stages must lie in [0, {stages - 1}] or be -1 (no trunk) '
            f'for {type(backbone).__name__} with {stages} stages, got '
            f'{trunk_stages}')
    return family(trunk_stages)


def _family_of(backbone: nn.Module) -> type[WholeBackbone] | None:
    """How a backbone is cut, if it can be: as it was registered, or as the
    host's class whose forward it runs (a C2D is a ResNet and does not)."""
    found = [family for kind, family in _REGISTERED
             if isinstance(backbone, kind)]
    found += [family for kind, family in _FAMILIES
              if isinstance(backbone, kind)
              and type(backbone).forward is kind.forward]
    return found[0] if found else None
