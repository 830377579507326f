"""EPIC-Kitchens with the domain adaptation splits of MM-SADA."""
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mmaction.registry import DATASETS

from .annotations import iter_annotations
from .choices import (
    MODALITIES,
    Place,
    absent_folders,
    basename,
    choose,
    find_root,
    missing,
    pick_place,
)
from .compact import CompactDataset, Row
from .records import make_record, picture_source, sound_source

ANNOTATION_FOLDER = 'MM-SADA_Domain_Adaptation_Splits'
CLASSES = ('take', 'put', 'open', 'close', 'wash', 'cut', 'mix', 'pour')
DOMAINS = ('D1', 'D2', 'D3')
SPLITS = ('train', 'test')
LAYOUTS = ('clips', 'frames')
FRAME_RATE = 60.0
# What a record is made of, beside the domain.
KEPT = ('video_id', 'start_timestamp', 'stop_timestamp', 'start_frame',
        'stop_frame', 'verb_class')
TEMPLATE = 'frame_{:010d}.jpg'


def flow_range(row: dict[str, Any]) -> tuple[int, int]:
    """First frame of a clip's flow and the number of its frames.

    Flow was computed at half the frame rate.

    Args:
        row (dict): The clip's row of the annotation file.
    """
    start, stop = row['start_frame'], row['stop_frame']
    return math.ceil(start / 2), int((stop - start) / 2)


def clip_sources(root: str, domain: str, split: str,
                 row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Where one clip's media are in the layout "clips".

    Args:
        root (str): The folder that holds the media.
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        row (dict): The clip's row of the annotation file.

    Returns:
        dict[str, dict]: For each modality its ``filename`` (for flow a pair
        u, v) and ``modality`` as the host calls it; for audio, which is one
        file a recording, the ``segment``: start and stop in seconds.
    """
    video_id, label = row['video_id'], row['verb_class']
    first, count = flow_range(row)
    clip = (f'{domain}_{video_id}_{row["start_frame"]}_{row["stop_frame"]}_'
            f'{label}.mp4')
    flow = f'{domain}_{video_id}_{first}_{first + count}_{label}'

    def path(kind: str, name: str) -> str:
        return os.path.join(root, kind, split, domain, name)

    return dict(
        video=picture_source('RGB', path('video', clip)),
        flow=picture_source('Flow', (path('flow', f'{flow}_u.mp4'),
                                     path('flow', f'{flow}_v.mp4'))),
        audio=_sound(path('audio', f'{video_id}.wav'), row))


def frame_sources(root: str, domain: str, split: str,
                  row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Where one clip's media are in the layout "frames".

    Args:
        root, domain, split, row: As for :func:`clip_sources`.

    Returns:
        dict[str, dict]: For each modality its folder as ``filename`` (for
        flow a pair u, v), the ``template`` of the frames' names, the number
        of the ``first``, ``total_frames`` and ``fps``; for audio the
        recording's file and the ``segment`` in seconds.
    """

    def path(kind: str, *names: str) -> str:
        return os.path.join(root, kind, split, domain, *names)

    video_id = row['video_id']
    first, count = flow_range(row)
    return dict(
        video=picture_source(
            'RGB', path('rgb', video_id), template=TEMPLATE,
            first=row['start_frame'],
            total_frames=row['stop_frame'] - row['start_frame'],
            fps=FRAME_RATE),
        flow=picture_source(
            'Flow', (path('flow', video_id, 'u'), path('flow', video_id, 'v')),
            template=TEMPLATE, first=first, total_frames=count,
            fps=FRAME_RATE / 2),
        audio=_sound(path('rgb', f'{video_id}.wav'), row))


def _sound(path: str, row: dict[str, Any]) -> dict[str, Any]:
    """The clip's part of a recording's sound."""
    return sound_source(path, (row['start_timestamp'], row['stop_timestamp']))


SOURCES = dict(clips=clip_sources, frames=frame_sources)
# The folder of each modality's files.
FOLDERS = dict(
    clips=dict(video='video', flow='flow', audio='audio'),
    frames=dict(video='rgb', flow='flow', audio='rgb'))


@DATASETS.register_module()
class EpicKitchensDataset(CompactDataset):
    """EPIC-Kitchens, three kitchens as domains and eight verbs as classes.

    Protocol of the domain generalisation benchmarks: train on the sources'
    train split, validate on the sources' test split, test on the target's
    test split. The media are laid out in one of the two ways that
    docs/data_preparation.md describes: one file a clip ("clips") or one jpg
    a frame ("frames"); which it is, is found by looking. ``data_root`` is
    the folder that holds ``MM-SADA_Domain_Adaptation_Splits``, or that
    folder itself.

    Args:
        data_root (str): Root folder of the set.
        domains (str | Sequence[str]): Some of 'D1', 'D2', 'D3', each once.
        split (str): 'train' or 'test'.
        modalities (Sequence[str]): Some of 'video', 'flow', 'audio'; the
            others' files are neither listed in ``sources`` nor looked for.
            Defaults to all three.
        layout (str, optional): 'clips' or 'frames'. Defaults to None: the
            one that is there.
        num_classes (int): Number of classes K. Defaults to 8.
        hint (str, optional): A command that makes the set, named where the
            folder is missing. Defaults to None: the generator of the mini
            set if ``data_root`` is called 'mini', else none.
        **kwargs: See :class:`MultiModalDataset`: ``pipeline``,
            ``test_mode``, ``on_error``, ``indices``, ``lazy_init`` ...

    Raises:
        FileNotFoundError: ``data_root``, an annotation file, or the folder
            of a modality and domain does not exist in either layout. Raised
            here, also with ``lazy_init=True``; a single missing media file
            is found when it is read.
        ValueError: Unknown or repeated domain, split, modality or layout,
            both layouts at once, no clips, or a label outside [0, K).
    """

    METAINFO = dict(
        dataset_type='epic-kitchens', classes=CLASSES, domains=DOMAINS)

    def __init__(self,
                 data_root: str,
                 domains: str | Sequence[str],
                 split: str,
                 modalities: Sequence[str] = MODALITIES,
                 pipeline: Sequence[dict | Callable] = (),
                 layout: str | None = None,
                 num_classes: int = len(CLASSES),
                 hint: str | None = None,
                 **kwargs: Any) -> None:
        self.domains = choose('domains', domains, DOMAINS)
        self.split, = choose('split', [split], SPLITS)
        self.modalities = choose('modalities', modalities, MODALITIES)
        if hint is None and basename(data_root) == 'mini':
            hint = 'python tools/data/make_mini.py'
        self.root = find_root(data_root, ANNOTATION_FOLDER)
        if self.root is None:
            raise FileNotFoundError(_missing(
                f'the folder {os.path.abspath(data_root)}', hint))
        self.annotations = {
            domain: self._find_annotation(domain, hint)
            for domain in self.domains
        }
        self.layout, self.media, _ = self._find_media(layout, hint)
        super().__init__(
            data_root=data_root,
            pipeline=pipeline,
            num_classes=num_classes,
            **kwargs)

    def rows(self) -> Iterator[tuple[str, int, Row]]:
        """One of each annotated clip, domain by domain."""
        for domain in self.domains:
            for row in iter_annotations(self.annotations[domain]):
                kept = (domain, *(row[name] for name in KEPT))
                yield _clip_id(domain, row), row['verb_class'], kept

    def record_of(self, row: Row) -> dict[str, Any]:
        """The record of one annotated clip."""
        domain, *values = row
        cells = dict(zip(KEPT, values, strict=True))
        return make_record(
            label=cells['verb_class'],
            domain=domain,
            split=self.split,
            clip_id=_clip_id(domain, cells),
            video_id=cells['video_id'],
            start=cells['start_timestamp'],
            stop=cells['stop_timestamp'],
            sources=SOURCES[self.layout](self.media, domain, self.split,
                                         cells),
            modalities=self.modalities)

    def files(self) -> Iterable[str]:
        """The annotation files."""
        return self.annotations.values()

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

    def _find_media(self, layout: str | None, hint: str | None) -> Place:
        """The layout and the folder that holds its folders of media."""
        layouts = LAYOUTS if layout is None else choose(
            'layout', layout, LAYOUTS)
        # Clips lie beside the annotations, frames beside their folder.
        folders = [os.path.abspath(self.root), *_holder(self.root)]
        places = [Place(name, folder, absent_folders(
            (domain, modality,
             os.path.join(folder, FOLDERS[name][modality], self.split, domain))
            for modality in self.modalities for domain in self.domains))
            for name in layouts for folder in folders]
        return pick_place('EPIC-Kitchens', places,
                          lambda what: _missing(what, hint))


def _clip_id(domain: str, row: dict[str, Any]) -> str:
    """A clip's name. The class is part of it: one stretch of a recording may
    be annotated twice, with different verbs."""
    return (f'{domain}_{row["video_id"]}_{row["start_frame"]}_'
            f'{row["stop_frame"]}_{row["verb_class"]}')


def _holder(root: str) -> list[str]:
    """The folder around the annotations', where that has its own name."""
    root = os.path.abspath(root)
    named = os.path.basename(root) == ANNOTATION_FOLDER
    return [os.path.dirname(root)] if named else []


def _places(root: str) -> list[str]:
    """Absolute folders that may hold the annotations, given what is there."""
    root = os.path.abspath(root)
    if os.path.basename(root) == ANNOTATION_FOLDER:
        return [root]
    return [os.path.join(root, ANNOTATION_FOLDER), root]


def _missing(what: str, hint: str | None) -> str:
    """Text of the error for an absent part of the set."""
    return missing(
        'EPIC-Kitchens', what,
        f'data_root is the folder {ANNOTATION_FOLDER}, with D1_train.pkl, '
        '..., in it, or the folder that holds it; there are video/, flow/ '
        "and audio/ (layout='clips') or rgb/ and flow/ (layout='frames')",
        hint)
