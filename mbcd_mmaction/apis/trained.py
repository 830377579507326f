"""A trained recognizer, and what it says on a config's clips."""
import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint, load_state_dict
from torch import Tensor
from torch.utils.data import DataLoader

from ..models import MultiModalRecognizer
from .modalities import follow_modalities
from .preflight import check_datasets

__all__ = [
    'FUSED', 'Predictions', 'add_trained_arguments', 'build_loader',
    'load_trained', 'predict', 'read_config'
]

FUSED = 'fused'
Inputs = Mapping[str, Tensor]


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
        ValueError: ``student`` without an averaged model in the file.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'expected a checkpoint file, found none at {checkpoint}; '
            'tools/train.py writes them to its work directory')
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    state = load_checkpoint(model, str(checkpoint), map_location='cpu')
    if student:
        if 'ema_state_dict' not in state:
            raise ValueError(
                f'{checkpoint} has no averaged model beside its student: '
                "expected 'ema_state_dict', as WATeacherDistillHook and "
                f'SimpleMovingAverageHook write it, got {sorted(state)}')
        lead = 'module.'
        load_state_dict(model, {
            name[len(lead):]: tensor
            for name, tensor in state['ema_state_dict'].items()
            if name.startswith(lead)
        })
    return model.to(get_device()).eval()


def build_loader(cfg: Config, split: str = 'test') -> DataLoader:
    """The loader of a config's 'val' (sources) or 'test' (target) clips.

    Raises:
        FileNotFoundError: Its media are absent.
    """
    check_datasets(cfg, [split])
    return Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0)


@torch.no_grad()
def predict(model: MultiModalRecognizer,
            loader: DataLoader,
            change: Callable[[Inputs], Inputs] | None = None,
            modalities: Sequence[str] | None = None) -> Predictions:
    """Predict every clip of a loader; those that could not be read are left.

    Args:
        model (MultiModalRecognizer): In eval mode.
        loader (DataLoader): Of :func:`build_loader`.
        change (Callable, optional): Is given each batch as the recognizer
            would be, normalised, modality to (N, S, C, ...), and returns
            what it gets in its place.
        modalities (Sequence[str], optional): The subset that predicts.
            Defaults to the model's.
    """
    fused_inputs = []
    handle = model.fusion_head.register_forward_pre_hook(
        lambda module, args: fused_inputs.append(args[0]))
    embeddings, read = [], []
    try:
        for batch in loader:
            data = model.data_preprocessor(batch, False)
            inputs = data['inputs']
            if change is not None:
                inputs = change(inputs)
            samples = model.predict(inputs, data['data_samples'], modalities)
            views = fused_inputs.pop().unflatten(0, (len(samples), -1))
            kept = [not s.get('skipped', False) for s in samples]
            embeddings.append(views.mean(1)[kept].float().cpu().numpy())
            read += [s for s, keep in zip(samples, kept, strict=True) if keep]
    finally:
        handle.remove()
    if not read:
        raise ValueError('no clip to predict: the loader gave none, or none '
                         'of its clips could be read')
    scores = {FUSED: _stack([s.pred_score for s in read])}
    scores.update((m, _stack([s.modality_scores[m] for s in read]))
                  for m in model.modalities
                  if all(m in s.modality_scores for s in read))
    return Predictions(
        scores=scores,
        labels=np.array([int(s.gt_label) for s in read]),
        domains=[s.get('domain') for s in read],
        embeddings=np.concatenate(embeddings))


def _stack(scores: Sequence[Tensor]) -> np.ndarray:
    """N scores (K,) to (N, K), float64."""
    return torch.stack(list(scores)).double().cpu().numpy()
