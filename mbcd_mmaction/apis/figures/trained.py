"""A trained recognizer, and what it says on a config's clips."""
import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ...models import MultiModalRecognizer
from ..modalities import follow_modalities
from ..preflight import check_datasets

__all__ = [
    'FUSED', 'Predictions', 'Variant', 'add_trained_arguments',
    'build_loader', 'load_trained', 'predict', 'predict_variants',
    'read_config'
]

FUSED = 'fused'
Inputs = Mapping[str, Tensor]
Change = Callable[[Inputs], Inputs]


@dataclass
class Predictions:
    """Scores of N clips, in the order of the loader.

    Attributes:
        scores (dict): 'fused' and each modality to probabilities (N, K),
            float64; a modality that some clip is without is not there.
        labels (np.ndarray): Classes, (N,), int64.
        domains (list): Each clip's domain, None where unknown.
        embeddings (np.ndarray): The fusion head's input, the concatenated
            z_k averaged over views, (N, sum of D_k), float32.
    """
    scores: dict[str, np.ndarray]
    labels: np.ndarray
    domains: list[str | None] = field(default_factory=list)
    embeddings: np.ndarray | None = None

    def top1(self) -> dict[str, float]:
        """Each output to the share of clips whose first class is theirs."""
        return {
            name: float((scores.argmax(1) == self.labels).mean())
            for name, scores in self.scores.items()
        }


@dataclass(frozen=True)
class Variant:
    """A condition to predict under; see :func:`predict` for both."""
    change: Change | None = None
    modalities: Sequence[str] | None = None


def add_trained_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of a tool that looks at a trained model.

    Args:
        parser (argparse.ArgumentParser): Changed in place: ``config``,
            ``checkpoint``, ``--cfg-options`` and ``--split``.
    """
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='as in tools/test.py')
    parser.add_argument('--split', choices=['val', 'test'], default='test',
                        help='val: the sources; test: the unseen target')


def read_config(path: str | Path,
                options: Mapping | None = None) -> Config:
    """A config as tools/test.py reads it; MMAction2's registry is ready.

    Args:
        path (str | Path): The config's file.
        options (Mapping, optional): ``--cfg-options`` by dotted name.
    """
    register_all_modules()
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(dict(options or {}))
    return follow_modalities(cfg, options)


def load_trained(cfg: Config,
                 checkpoint: str | Path,
                 student: bool = False) -> MultiModalRecognizer:
    """Build a config's recognizer with a checkpoint's weights, to evaluate.

    Args:
        cfg (Config): Of the training.
        checkpoint (str | Path): What the training wrote. Its ``state_dict``
            is the averaged model wherever there is one.
        student (bool): Take the student in the averaged model's place.

    Returns:
        MultiModalRecognizer: In eval mode, on the device that MMEngine
        finds.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: ``student`` without an averaged model in the file, or
            weights of another network.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'expected a checkpoint file, found none at {checkpoint}; '
            'tools/train.py writes them to its work directory')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    # Left to itself the host loads what fits, says so, and goes on: the
    # rest would be random weights, and their numbers look like numbers.
    try:
        state = load_checkpoint(model, str(checkpoint), map_location='cpu',
                                strict=True)
    except RuntimeError as error:
        raise ValueError(
            f'{checkpoint}: expected the weights of the network that the '
            'config builds, got those of another; give it the config and '
            'the --cfg-options of its training. '
            f'{shorten(str(error), 300)}') from error
    if student:
        if 'ema_state_dict' not in state:
            raise ValueError(
                f'{checkpoint} has no averaged model beside its student: '
                "expected 'ema_state_dict', as WATeacherDistillHook and "
                f'SimpleMovingAverageHook write it, got {sorted(state)}')
        lead = 'module.'
        own = {name[len(lead):]: tensor
               for name, tensor in state['ema_state_dict'].items()
               if name.startswith(lead)}
        # what is frozen is shared, and stands in state_dict alone
        load_state_dict(model, {**model.state_dict(), **own}, strict=True)
    return model.to(get_device()).eval()


def build_loader(cfg: Config,
                 split: str = 'test',
                 max_clips: int | None = None) -> DataLoader:
    """The loader of a config's 'val' (sources) or 'test' (target) clips.

    Args:
        cfg (Config): Of the training.
        split (str): 'val' or 'test'.
        max_clips (int, optional): At most so many clips, spread evenly over
            the split. Defaults to None: all.

    Raises:
        FileNotFoundError: Its media are absent.
        ValueError: ``max_clips`` is below 1.
    """
    check_datasets(cfg, [split])
    loader = dict(cfg[f'{split}_dataloader'])
    if max_clips is not None:
        if max_clips < 1:
            raise ValueError(f'max_clips: expected 1 or more, got {max_clips}')
        dataset = DATASETS.build(loader['dataset'])
        count = min(max_clips, len(dataset))
        loader['dataset'] = Subset(
            dataset, [i * len(dataset) // count for i in range(count)])
    return Runner.build_dataloader(loader, seed=0)


def predict(model: MultiModalRecognizer,
            loader: Iterable[Mapping],
            change: Change | None = None,
            modalities: Sequence[str] | None = None) -> Predictions:
    """Predict every clip of a loader; those that could not be read are left.

    Args:
        model (MultiModalRecognizer): In eval mode.
        loader (Iterable): Of :func:`build_loader`, or a list of its batches.
        change (Callable, optional): Is given each batch as the recognizer
            would be, normalised, modality to (N, S, C, ...), and returns
            what it gets in its place.
        modalities (Sequence[str], optional): The subset that predicts.
            Defaults to the model's.

    Raises:
        ValueError: There is no clip to predict.
    """
    return predict_variants(
        model, loader, {FUSED: Variant(change, modalities)})[FUSED]


@torch.no_grad()
def predict_variants(
        model: MultiModalRecognizer, loader: Iterable[Mapping],
        variants: Mapping[Any, Variant]) -> dict[Any, Predictions]:
    """Predict under several conditions, reading every clip once.

    Args:
        model (MultiModalRecognizer): In eval mode.
        loader (Iterable): As for :func:`predict`.
        variants (Mapping[Any, Variant]): By keys of the caller's.

    Returns:
        dict[Any, Predictions]: By the same keys, each equal to what
        :func:`predict` returns.

    Raises:
        ValueError: There is no clip to predict.
    """
    fused_inputs: list[Tensor] = []
    handle = model.fusion_head.register_forward_pre_hook(
        lambda module, args: fused_inputs.append(args[0]))
    parts: dict[Any, list[_Part]] = {name: [] for name in variants}
    try:
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            for name, variant in variants.items():
                inputs = data['inputs']
                if variant.change is not None:
                    inputs = variant.change(inputs)
                samples = model.predict(inputs, data['data_samples'],
                                        variant.modalities)
                parts[name].append(_take(samples, fused_inputs.pop()))
    finally:
        handle.remove()
    return {name: _join(part, model.modalities)
            for name, part in parts.items()}


@dataclass
class _Part:
    """What one batch said: N clips' scores by output, and the rest."""
    scores: list[dict[str, np.ndarray]]
    labels: list[int]
    domains: list[str | None]
    embeddings: np.ndarray


def _take(samples: Sequence, fused_input: Tensor) -> _Part:
    """Copy what is wanted: the next variant writes into the same samples.

    Args:
        samples (Sequence): N predicted data samples.
        fused_input (Tensor): The fusion head's input, (N * S, D).
    """
    views = fused_input.unflatten(0, (len(samples), -1))
    kept = [not s.get('skipped', False) for s in samples]
    read = [s for s, keep in zip(samples, kept, strict=True) if keep]
    return _Part(
        scores=[{name: score.double().cpu().numpy() for name, score in
                 {FUSED: s.pred_score, **s.modality_scores}.items()}
                for s in read],
        labels=[int(s.gt_label) for s in read],
        domains=[s.get('domain') for s in read],
        embeddings=views.mean(1)[kept].float().cpu().numpy())


def _join(parts: Sequence[_Part], modalities: Sequence[str]) -> Predictions:
    """The batches of a loader in a row."""
    scores = [one for part in parts for one in part.scores]
    if not scores:
        raise ValueError('no clip to predict: the loader gave none, or none '
                         'of its clips could be read')
    outputs = [name for name in (FUSED, *modalities)
               if all(name in one for one in scores)]
    return Predictions(
        scores={name: np.stack([one[name] for one in scores])
                for name in outputs},
        labels=np.array([y for part in parts for y in part.labels]),
        domains=[domain for part in parts for domain in part.domains],
        embeddings=np.concatenate([part.embeddings for part in parts]))
