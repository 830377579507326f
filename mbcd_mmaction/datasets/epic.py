"""EPIC-Kitchens with the domain adaptation splits of MM-SADA."""
import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmaction.registry import DATASETS

from .annotations import read_annotations
from .multimodal import MultiModalDataset

ANNOTATION_FOLDER = 'MM-SADA_Domain_Adaptation_Splits'
CLASSES = ('take', 'put', 'open', 'close', 'wash', 'cut', 'mix', 'pour')
DOMAINS = ('D1', 'D2', 'D3')
MODALITIES = ('video', 'flow', 'audio')
SPLITS = ('train', 'test')


def clip_sources(root: str, domain: str, split: str,
                 row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Where one clip's media are in the layout "clips".

    Args:
        root (str): The folder that holds annotations and media.
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        row (dict): The clip's row of the annotation file.

    Returns:
        dict[str, dict]: For each modality its ``filename`` (for flow a pair
        u, v), ``modality`` as the host calls it and ``start_index``; for
        audio, which is one file a recording, ``segment``, its start and
        stop in seconds.
    """
    video_id, label = row['video_id'], row['verb_class']
    start, stop = row['start_frame'], row['stop_frame']
    # Flow was computed at half the frame rate.
    first = math.ceil(start / 2)
    last = first + int((stop - start) / 2)
    clip = f'{domain}_{video_id}_{start}_{stop}_{label}.mp4'
    flow = f'{domain}_{video_id}_{first}_{last}_{label}'

    def path(kind: str, name: str) -> str:
        return os.path.join(root, kind, split, domain, name)

    return dict(
        video=dict(
            filename=path('video', clip), modality='RGB', start_index=0),
        flow=dict(
            filename=(path('flow', f'{flow}_u.mp4'),
                      path('flow', f'{flow}_v.mp4')),
            modality='Flow',
            start_index=0),
        audio=dict(
            filename=path('audio', f'{video_id}.wav'),
            modality='Audio',
            segment=(row['start_timestamp'], row['stop_timestamp'])))


@DATASETS.register_module()
class EpicKitchensDataset(MultiModalDataset):
    """EPIC-Kitchens, three kitchens as domains and eight verbs as classes.

    Protocol of the domain generalisation benchmarks: train on the sources'
    train split, validate on the sources' test split, test on the target's
    test split. The folder is laid out as docs/data_preparation.md describes
    under "clips"; ``data_root`` is the folder that holds
    ``MM-SADA_Domain_Adaptation_Splits``, or that folder itself.

    Args:
        data_root (str): Root folder of the set.
        domains (str | Sequence[str]): Some of 'D1', 'D2', 'D3', each once.
        split (str): 'train' or 'test'.
        modalities (Sequence[str]): Some of 'video', 'flow', 'audio'; the
            others' files are neither listed in ``sources`` nor looked for.
            Defaults to all three.
        num_classes (int): Number of classes K. Defaults to 8.
        hint (str, optional): A command that makes the set, named where the
            folder is missing. Defaults to None: the generator of the mini
            set if ``data_root`` is called 'mini', else none.
        **kwargs: See :class:`MultiModalDataset`: ``pipeline``,
            ``test_mode``, ``on_error``, ``indices``, ``lazy_init`` ...

    Raises:
        FileNotFoundError: ``data_root``, an annotation file, or the folder
            of a modality and domain does not exist. Raised here, also with
            ``lazy_init=True``; a single missing media file is found when it
            is read.
        ValueError: Unknown or repeated domain, split or modality, no clips,
            or a label outside [0, K).
    """

    METAINFO = dict(
        dataset_type='epic-kitchens', classes=CLASSES, domains=DOMAINS)

    def __init__(self,
                 data_root: str,
                 domains: str | Sequence[str],
                 split: str,
                 modalities: Sequence[str] = MODALITIES,
                 pipeline: Sequence[dict | Callable] = (),
                 num_classes: int = len(CLASSES),
                 hint: str | None = None,
                 **kwargs: Any) -> None:
        domains = [domains] if isinstance(domains, str) else list(domains)
        self.domains = _choose('domains', domains, DOMAINS)
        self.split, = _choose('split', [split], SPLITS)
        self.modalities = _choose('modalities', list(modalities), MODALITIES)
        if hint is None and _basename(data_root) == 'mini':
            hint = 'python tools/data/make_mini.py'
        self.root = _find_root(data_root, hint)
        self.annotations = {
            domain: self._find_annotation(domain, hint)
            for domain in self.domains
        }
        self._find_media(hint)
        super().__init__(
            data_root=data_root,
            pipeline=pipeline,
            num_classes=num_classes,
            **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per annotated clip, domain by domain."""
        records = [
            self._record(domain, row) for domain in self.domains
            for row in read_annotations(self.annotations[domain])
        ]
        if not records:
            raise ValueError(f'no clips: expected at least one row in '
                             f'{sorted(self.annotations.values())}')
        self._check_labels(records)
        return records

    def _record(self, domain: str, row: dict[str, Any]) -> dict[str, Any]:
        """The record of one annotated clip."""
        sources = clip_sources(self.root, domain, self.split, row)
        # The class is part of the name: one stretch of a recording may be
        # annotated twice, with different verbs.
        clip_id = '_'.join(
            str(part) for part in (domain, row['video_id'],
                                   row['start_frame'], row['stop_frame'],
                                   row['verb_class']))
        return dict(
            label=row['verb_class'],
            domain=domain,
            split=self.split,
            clip_id=clip_id,
            video_id=row['video_id'],
            start=row['start_timestamp'],
            stop=row['stop_timestamp'],
            sources={name: sources[name]
                     for name in self.modalities})

    def _find_annotation(self, domain: str, hint: str | None) -> str:
        """Path of a domain's annotation file, .pkl before .csv."""
        name = f'{domain}_{self.split}'
        for suffix in ('.pkl', '.csv'):
            path = os.path.join(self.root, name + suffix)
            if os.path.isfile(path):
                return path
        places = ' or '.join(
            os.path.join(folder, f'{name}.pkl')
            for folder in _places(self.root))
        raise FileNotFoundError(
            _missing(f'the annotation file {places} (or .csv)', hint))

    def _find_media(self, hint: str | None) -> None:
        """Raise where the folder of a modality and domain is missing."""
        for modality in self.modalities:
            for domain in self.domains:
                folder = os.path.join(self.root, modality, self.split, domain)
                if not os.path.isdir(folder):
                    raise FileNotFoundError(
                        _missing(f"the folder of {domain}'s {modality} "
                                 f'files, {os.path.abspath(folder)}', hint))


def _choose(name: str, values: Sequence[str],
            known: Iterable[str]) -> list[str]:
    """Check a choice of known words, each at most once, at least one."""
    unknown = [value for value in values if value not in known]
    if unknown or not values or len(set(values)) != len(values):
        raise ValueError(f'{name}: expected some of {list(known)}, each once, '
                         f'got {list(values)}')
    return list(values)


def _basename(folder: str) -> str:
    """Name of a folder, with or without a slash at the end."""
    return os.path.basename(os.path.normpath(folder))


def _find_root(data_root: str, hint: str | None) -> str:
    """The folder with annotations and media: data_root or the one in it."""
    inner = os.path.join(data_root, ANNOTATION_FOLDER)
    for folder in (inner, data_root):
        if os.path.isdir(folder):
            return folder
    raise FileNotFoundError(
        _missing(f'the folder {os.path.abspath(data_root)}', hint))


def _places(root: str) -> list[str]:
    """Absolute folders that may hold the annotations, given what is there."""
    root = os.path.abspath(root)
    if os.path.basename(root) == ANNOTATION_FOLDER:
        return [root]
    return [os.path.join(root, ANNOTATION_FOLDER), root]


def _missing(what: str, hint: str | None) -> str:
    """Text of the error for an absent part of the set."""
    how = f'Make it with: {hint}. ' if hint else ''
    return (f'EPIC-Kitchens: expected {what}, which does not exist. '
            f'data_root is the folder {ANNOTATION_FOLDER}, with '
            'D1_train.pkl, ..., video/, flow/ and audio/ in it, or the '
            f'folder that holds it. {how}docs/data_preparation.md tells how '
            'to get it')
