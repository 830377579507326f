"""Test a trained model on corrupted clips."""
import argparse
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmaction.registry import DATASETS
from mmengine.config import Config

from ...datasets.corruptions import CORRUPTIONS, SEVERITIES
from ...models import MultiModalRecognizer
from ..preflight import check_datasets, leaf_datasets
from .trained import build_loader, predict

__all__ = [
    'corrupt', 'corrupted_accuracy', 'fitting_corruptions',
    'parse_corruptions'
]

# What each kind of corruption is, and the step that it stands before.
_STEPS = {'frames': ('CorruptFrames', 'FormatShape'),
          'sound': ('CorruptSound', 'AudioSpectrogram')}
# What a record's source is called by the host, and what may be done to it.
_KINDS = {'RGB': 'frames', 'Audio': 'sound'}


def corrupt(cfg: Config, modality: str, corruption: str, severity: int,
            split: str = 'test', seed: int = 0) -> Config:
    """Put a corruption into a split's pipeline.

    Frames are corrupted after decoding and cropping, before ``FormatShape``;
    sound after it was read, before ``AudioSpectrogram``. Called again on the
    result, another corruption comes on top.

    Args:
        cfg (Config): Not changed. The split's datasets read through a
            :class:`MultiModalPipeline`.
        modality (str): A key of its ``pipelines``.
        corruption (str): A key of :data:`CORRUPTIONS`.
        severity (int): 1 to 5; 0 changes nothing.
        split (str): Which of ``<split>_dataloader``. Defaults to 'test'.
        seed (int): Another number gives another draw. Defaults to 0.

    Returns:
        Config: A copy; its other splits are as they were.

    Raises:
        ValueError: Unknown corruption; no such modality, or no place for
            the corruption in its pipeline; the dataset reads stored features
            in place of media.
    """
    if corruption not in CORRUPTIONS:
        raise ValueError(f'corruption: expected one of {list(CORRUPTIONS)}, '
                         f'got {corruption!r}')
    step, before = _STEPS[CORRUPTIONS[corruption].of]
    new = dict(type=step, corruption=corruption, severity=severity, seed=seed)
    cfg = copy.deepcopy(cfg)
    # A config may hold one pipeline for two splits.
    loader = cfg[f'{split}_dataloader'] = copy.deepcopy(
        cfg[f'{split}_dataloader'])
    for leaf in leaf_datasets(loader['dataset']):
        if leaf.get('trunk_cache'):
            raise ValueError(
                f'{split}_dataloader: expected a dataset that reads media, '
                'got one with trunk_cache, whose features are of clean clips')
        steps = _pipeline_of(leaf, modality, split)
        places = [i for i, one in enumerate(steps)
                  if one.get('type') == before]
        if not places:
            raise ValueError(
                f'{corruption} stands before {before}: expected one in the '
                f'pipeline of {modality!r}, got '
                f'{[one.get("type") for one in steps]}')
        steps.insert(places[0], new)
    return cfg


def _pipeline_of(leaf: Mapping[str, Any], modality: str,
                 split: str) -> list[Any]:
    """A modality's steps in a dataset's config."""
    found: list[str] = []
    for step in leaf.get('pipeline', ()):
        pipelines = step.get('pipelines')
        if step.get('type') == 'MultiModalPipeline' and pipelines:
            if modality in pipelines:
                return pipelines[modality]
            found += pipelines
    raise ValueError(f'{split}_dataloader: expected a modality among '
                     f'{found} of its MultiModalPipeline, got {modality!r}')


def fitting_corruptions(cfg: Config, split: str = 'test'
                        ) -> list[tuple[str, str]]:
    """Which corruptions fit which modalities of a split.

    What is made for RGB frames fits modalities of RGB frames, what is made
    for sound those of sound. Lost frames of optical flow have to be asked
    for.

    Args:
        cfg (Config): Its dataset is asked for its clips: a modality may be
            absent from some of them.
        split (str): Defaults to 'test'.

    Returns:
        list[tuple]: (modality, corruption).

    Raises:
        FileNotFoundError: The media are absent.
        ValueError: None fits.
    """
    check_datasets(cfg, [split])
    leaf = next(leaf_datasets(cfg[f'{split}_dataloader']['dataset']))
    clips = DATASETS.build({**leaf, 'pipeline': []})
    media = {modality: source['modality'] for i in range(len(clips))
             for modality, source in clips.get_data_info(i)['sources'].items()
             if source is not None}
    pairs = [(modality, corruption)
             for modality, medium in media.items()
             for corruption, kind in CORRUPTIONS.items()
             if kind.of == _KINDS.get(medium)]
    if not pairs:
        raise ValueError(
            'corruptions: expected a modality of RGB frames or of sound, got '
            f'{media}; name one that fits, as flow:frame_drop')
    return pairs


def parse_corruptions(text: str) -> tuple[tuple[str, str], ...]:
    """Read 'MODALITY:CORRUPTION', several at once joined by '+'.

    Args:
        text (str): E.g. 'video:defocus_blur+audio:wind_noise'.

    Returns:
        tuple[tuple]: (modality, corruption) of each.

    Raises:
        argparse.ArgumentTypeError: It reads otherwise, or names an unknown
            corruption.
    """
    parts = [tuple(part.split(':')) for part in text.split('+')]
    for part in parts:
        if len(part) != 2 or part[1] not in CORRUPTIONS:
            raise argparse.ArgumentTypeError(
                'expected MODALITY:CORRUPTION, more of them behind a +, with '
                f'a corruption among {list(CORRUPTIONS)}; got {text!r}')
    return tuple(parts)


def corrupted_accuracy(
        model: MultiModalRecognizer,
        cfg: Config,
        conditions: Sequence[Sequence[tuple[str, str]]],
        severities: Sequence[int] = SEVERITIES,
        split: str = 'test',
        max_clips: int | None = None,
        seed: int = 0) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Test a model clean and under each condition at each severity.

    Clips are read anew for each, since what is corrupted is what was read.

    Args:
        model (MultiModalRecognizer): In eval mode.
        cfg (Config): Of its training.
        conditions (Sequence): Each one or more (modality, corruption) that
            occur together.
        severities (Sequence[int]): Of 1 to 5. Defaults to all.
        split (str): Defaults to 'test', the target.
        max_clips (int, optional): As for :func:`build_loader`.
        seed (int): As for :func:`corrupt`.

    Yields:
        tuple: The condition's name, '' for clean and else as
        :func:`parse_corruptions` reads it; the severity, 0 for clean; top-1
        in [0, 1] of 'fused' and of each modality.
    """
    # all at first: what does not fit is said before hours have passed
    configs = [('', 0, cfg)]
    for condition in conditions:
        name = '+'.join(':'.join(part) for part in condition)
        for severity in severities:
            corrupted = cfg
            for modality, corruption in condition:
                corrupted = corrupt(corrupted, modality, corruption,
                                    severity, split, seed)
            configs.append((name, severity, corrupted))
    for name, severity, corrupted in configs:
        loader = build_loader(corrupted, split, max_clips)
        yield name, severity, predict(model, loader).top1()
