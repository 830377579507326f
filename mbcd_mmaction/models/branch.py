"""One modality's encoder: frozen trunk, trainable rest, pool, LayerNorm."""
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .frozen_trunk import build_frozen_trunk
from .pretrained import load_backbone
from .stages import Features, WholeBackbone, build_stages
from .weight_source import (
    WeightSource,
    only_source,
    split_init_cfg,
    take_sources,
)

__all__ = ['Branch']

Perturbation = Callable[[Features], Features]


class Branch(BaseModule):
    """theta_k: maps the input of one modality to its embedding z_k.

    ``trunk`` runs what is frozen; calling the branch runs the rest, from the
    trunk's features to the embedding, so that ``torch.func.functional_call``
    with fast weights leaves the trunk alone.

    Args:
        backbone (dict): Config of an MMAction2 backbone.
        trunk_stages (int, optional): Residual stages in the frozen trunk,
            see :func:`~mbcd_mmaction.models.stages.build_stages`. Defaults
            to None: all but the last.
        embed_dims (int, optional): Channels D of the embedding; None reads
            the backbone's ``feat_dim``.
        trunk_norm (str): 'frozen' runs the trunk's BatchNorm in eval mode,
            'batch' on batch statistics (and lets the running statistics
            drift, as the released code does). Defaults to 'frozen'.
        trunk (dict, optional): How the frozen trunk runs: some of
            ``precision``, ``fold_norm``, ``channels_last`` and ``compile``,
            see :class:`~mbcd_mmaction.models.frozen_trunk.FrozenTrunk`.
            Defaults to None: as it is, exactly.
        train_layer_norm (bool): Whether the LayerNorm's affine parameters
            train. Defaults to True.
        checkpoint (str, optional): Path or URL of the backbone's pretrained
            weights, see
            :func:`~mbcd_mmaction.models.pretrained.load_backbone`. Defaults
            to None: random weights.
        adapt_stem (bool): Let weights of another number of input channels
            (RGB for flow or sound) start the stem, as their mean over the
            channels; see :func:`~mbcd_mmaction.models.pretrained.match_keys`
            for the formula. Defaults to False: an error.
        modality (str, optional): What this branch is called, for messages.
        init_cfg (dict or list, optional): As in mmengine's BaseModule. An
            entry of type 'Pretrained', here or in ``backbone``, and the
            backbone's ``pretrained`` do what ``checkpoint`` does.

    Raises:
        ValueError: If ``trunk_norm`` or an option of ``trunk`` is unknown,
            the backbone cannot be cut there, or more than one file of
            weights is named.
    """

    def __init__(self,
                 backbone: dict,
                 trunk_stages: int | None = None,
                 embed_dims: int | None = None,
                 trunk_norm: str = 'frozen',
                 trunk: dict | None = None,
                 train_layer_norm: bool = True,
                 checkpoint: str | None = None,
                 adapt_stem: bool = False,
                 modality: str | None = None,
                 init_cfg: dict | list | None = None) -> None:
        init_cfg, sources = split_init_cfg(init_cfg, 'init_cfg')
        super().__init__(init_cfg=init_cfg)
        if trunk_norm not in ('frozen', 'batch'):
            raise ValueError("trunk_norm must be 'frozen' or 'batch', got "
                             f'{trunk_norm!r}')
        self.backbone = MODELS.build(backbone)
        self.stages = build_stages(self.backbone, trunk_stages)
        self.embed_dims = embed_dims or _feature_channels(self.backbone)
        self.norm = nn.LayerNorm(self.embed_dims)
        self.norm.requires_grad_(train_layer_norm)
        self.trunk_norm = trunk_norm
        self.frozen_trunk = build_frozen_trunk(
            trunk, self.stages, self.backbone, trunk_norm, modality)
        self.adapt_stem = adapt_stem
        self.modality = modality
        if checkpoint is not None:
            sources.insert(0, WeightSource(checkpoint, None, 'checkpoint'))
        known = type(self.stages) is not WholeBackbone
        self.source = only_source(
            sources + take_sources(self.backbone, take_pretrained=known))
        # here and not in train(): DDP lists trainable parameters when it
        # wraps the model
        for module in self.trunk_modules:
            module.requires_grad_(False)
        self.train(self.training)

    @property
    def trunk_modules(self) -> list[nn.Module]:
        """The frozen modules; empty if the whole backbone trains."""
        return self.stages.trunk_modules(self.backbone)

    @property
    def has_trunk(self) -> bool:
        """Whether a frozen trunk exists."""
        return bool(self.trunk_modules)

    @property
    def shares_trunk(self) -> bool:
        """Whether a copy of this branch gets the same trunk features."""
        return self.trunk_norm == 'frozen' or not self.has_trunk

    def train(self, mode: bool = True) -> 'Branch':
        """Set the mode; a 'frozen' trunk stays in eval mode."""
        super().train(mode)
        if self.trunk_norm == 'frozen':
            for module in self.trunk_modules:
                module.eval()
        return self

    def init_weights(self) -> None:
        """Initialise, then load the backbone's pretrained weights.

        Raises:
            FileNotFoundError: If the file is absent.
            ValueError: If it does not fill the backbone.
        """
        super().init_weights()
        name = type(self.backbone).__name__
        if self.modality is not None:
            name = f'{name} (branch {self.modality!r})'
        if self.source is not None:
            load_backbone(self.backbone, self.source.checkpoint,
                          self.source.prefix, self.adapt_stem, name)
        elif isinstance(getattr(self.backbone, 'pretrained', None), str):
            print_log(
                f'{name} loads {self.backbone.pretrained} by its own rules; '
                'how much of it fits is not checked. `checkpoint` in the '
                'branch is.', 'current', logging.WARNING)
        elif self.has_trunk:
            print_log(
                f'RANDOM WEIGHTS in the frozen trunk of {name}: no '
                '`checkpoint` is given. Fine for a trial, not for a result '
                'to publish.', 'current', logging.WARNING)
        else:
            print_log(
                f'random weights in {name}, all of which trains: no '
                '`checkpoint` is given', 'current')

    def trunk(self, x: Tensor, passes: int = 1) -> Features:
        """The frozen half, without gradient.

        Args:
            x (Tensor): Input of the modality, (N, C, ...).
            passes (int): How many passes over this batch the running
                statistics of a 'batch' trunk should see. Its output is the
                same in each, so one pass stands for all. Defaults to 1.

        Returns:
            Tensor or tuple: Features at the cut; ``x`` without a trunk.
        """
        if not self.has_trunk:
            return x
        with torch.no_grad(), self._statistics_of(passes):
            run = self.frozen_trunk or self.stages.trunk
            return run(self.backbone, x)

    def forward(self,
                h: Features,
                perturb: Perturbation | None = None) -> Tensor:
        """Trunk features to the embedding z_k, (N, D).

        Args:
            h (Tensor or tuple): What ``trunk`` returned.
            perturb (Callable, optional): Feature perturbation, applied to
                the trunk's features (not to raw input, where there is no
                trunk) and to the last stage's output.
        """
        if perturb is not None and self.has_trunk:
            h = perturb(h)
        out = self.stages.last_stage(self.backbone, h)
        if perturb is not None:
            out = perturb(out)
        maps = self.stages.pathways(out)
        pooled = torch.cat([_global_pool(x) for x in maps], dim=1)
        if pooled.shape[1] != self.embed_dims:
            raise ValueError(
                f'{type(self.backbone).__name__} gives {pooled.shape[1]} '
                f'channels, the branch expects embed_dims={self.embed_dims}')
        return self.norm(pooled)

    def trainable_params(self) -> dict[str, nn.Parameter]:
        """theta_k of Eq. 5, by the names ``functional_call`` takes."""
        return {
            name: param
            for name, param in self.named_parameters() if param.requires_grad
        }

    @contextmanager
    def _statistics_of(self, passes: int) -> Iterator[None]:
        """Let running statistics move as over several equal batches."""
        norms = [
            module for part in self.trunk_modules for module in part.modules()
            if isinstance(module, _BatchNorm) and module.training
        ] if passes > 1 else []
        rates = [module.momentum for module in norms]
        for module, rate in zip(norms, rates, strict=True):
            module.momentum = 1 - (1 - rate)**passes
        try:
            yield
        finally:
            for module, rate in zip(norms, rates, strict=True):
                module.momentum = rate


def _global_pool(x: Tensor) -> Tensor:
    """(N, C, *space) to (N, C) by averaging; (N, C) stays."""
    return x.flatten(2).mean(2) if x.ndim > 2 else x


def _feature_channels(backbone: nn.Module) -> int:
    """Channels of the pooled features, where the backbone tells."""
    paths = [
        getattr(backbone, name) for name in ('slow_path', 'fast_path')
        if hasattr(backbone, name)
    ] or [backbone]
    if not all(hasattr(path, 'feat_dim') for path in paths):
        raise ValueError(
            f'{type(backbone).__name__} does not tell its number of output '
            'channels: give the branch embed_dims=...')
    return sum(path.feat_dim for path in paths)
