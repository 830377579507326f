"""A person's own videos, listed in a manifest."""
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmaction.registry import DATASETS

from .choices import MODALITIES, as_list, choose
from .compact import CompactDataset, PackedRows, Row
from .derived import audio_path, flow_paths, places
from .manifest_file import COLUMNS, PATHS, iter_manifest, segment_of
from .multimodal import label_problem
from .records import make_record, picture_source, sound_source


@DATASETS.register_module()
class ManifestDataset(CompactDataset):
    """Clips of a manifest (docs/own_data.md), CSV or JSON Lines.

    A clip is a video, or the part of it from ``start`` to ``stop``. Where a
    row names no flow, that of ``tools/data/extract_flow.py`` is taken; where
    it names no audio, that of ``tools/data/extract_audio.py`` if it is there,
    else the video's own sound track. ``start`` and ``stop`` hold for the
    video and the sound; flow files are the clip's own.

    Args:
        ann_file (str): The manifest.
        domains (str | Sequence[str]): Some of the manifest's domains.
        split (str | Sequence[str], optional): Some of its splits. Defaults
            to None: all rows.
        modalities (Sequence[str]): Some of 'video', 'flow', 'audio'.
            Defaults to all three.
        data_root (str, optional): Folder to which paths are relative.
            Defaults to None: the manifest's own.
        classes (Sequence[str], optional): Names of the classes, for labels
            that are text. Defaults to None: labels are numbers.
        num_classes (int, optional): Number of classes K. Defaults to None:
            the number of ``classes``, if they are given.
        cache (str, optional): Where computed flow and sound lie. Defaults to
            None: ``<data_root>/derived``.
        metainfo (dict, optional): Of the host; ``classes`` and ``domains``
            are filled in. Defaults to None.
        **kwargs: See :class:`MultiModalDataset`.

    Raises:
        FileNotFoundError: There is no manifest, or flow is needed and none
            was computed.
        ValueError: A mistake in the manifest or a label that is no class
            (the row is named), an unknown domain, split or modality, no
            clips of a domain, or classes that do not fit ``num_classes``.
    """

    METAINFO = dict(dataset_type='manifest')

    def __init__(self,
                 ann_file: str,
                 domains: str | Sequence[str],
                 split: str | Sequence[str] | None = None,
                 modalities: Sequence[str] = MODALITIES,
                 pipeline: Sequence[dict | Callable] = (),
                 data_root: str | None = None,
                 classes: Sequence[str] | None = None,
                 num_classes: int | None = None,
                 cache: str | None = None,
                 metainfo: dict[str, Any] | None = None,
                 **kwargs: Any) -> None:
        self.manifest = ann_file
        self.classes = _checked_classes(classes, num_classes)
        self.folder, self.cache = places(ann_file, data_root, cache)
        self._inside = os.path.join(self.folder, '')
        self.modalities = choose('modalities', modalities, MODALITIES)
        self._chosen = self._choose(as_list(domains), split)
        if num_classes is None and self.classes is not None:
            num_classes = len(self.classes)
        self._check_flow()
        super().__init__(
            data_root=self.folder,
            pipeline=pipeline,
            num_classes=num_classes,
            metainfo=dict(dict(classes=tuple(self.classes or ()),
                               domains=tuple(self.domains)),
                          **(metainfo or {})),
            **kwargs)

    def rows(self) -> Iterator[tuple[str, int, Row]]:
        """One of each chosen row, in the manifest's order."""
        # One look at a folder may save a look for each clip.
        wanted = 'audio' in self.modalities and os.path.isdir(
            os.path.join(self.cache, 'audio'))
        for row in map(self._unpacked, self._chosen):
            label = row['label'] = self._class_of(row)
            if wanted and row['audio'] is None:
                row['audio'] = os.path.isfile(
                    self._computed_sound(row)) or None
            row['row'] = None  # was for errors
            yield self._names(row)[1], label, self._packed(row)
        self._chosen = PackedRows()

    def files(self) -> list[str]:
        """The manifest."""
        return [self.manifest]

    def record_of(self, row: Row) -> dict[str, Any]:
        """The record of one row."""
        cells = self._unpacked(row)
        name, clip_id = self._names(cells)
        return make_record(
            label=cells['label'],
            domain=cells['domain'],
            split=cells['split'] or '',
            clip_id=clip_id,
            video_id=name,
            start=cells['start'],
            stop=cells['stop'],
            sources=self._sources(cells),
            modalities=self.modalities)

    def _choose(self, domains: list[str],
                split: str | Sequence[str] | None) -> PackedRows:
        """The rows of the domains and splits that are asked for."""
        splits = None if split is None else as_list(split)
        known: dict[str, set[str | None]] = defaultdict(set)
        nameless: list[str] = []
        chosen = PackedRows()
        for row in iter_manifest(self.manifest, self.folder):
            known[row['domain']].add(row['split'])
            if row['domain'] not in domains:
                continue
            if row['split'] is None:
                nameless.append(row['row'])
            if splits is None or row['split'] in splits:
                chosen.append(self._packed(row))
        self.domains = choose(f'{self.manifest}: domains', domains,
                              sorted(known))
        self.split = None
        if splits is None:
            return chosen
        if nameless:
            raise ValueError(
                f'{nameless[0]}: split is blank ({len(nameless)} such rows), '
                f'and the config asks for split={split!r}: expected each row '
                'to name its split, or split=None')
        self.split = choose(f'{self.manifest}: split', split,
                            sorted(set().union(*known.values()) - {None}))
        self._check_not_empty(known)
        return chosen

    def _check_not_empty(self, known: dict[str, set[str | None]]) -> None:
        """Raise where a domain has no clips in the splits."""
        for domain in self.domains:
            own = known[domain]
            if own.isdisjoint(self.split):
                raise ValueError(
                    f'{self.manifest}: no clips of domain {domain!r} in '
                    f'split {self.split}: expected some, it has clips in '
                    f'{sorted(own)}')

    def _packed(self, row: dict[str, Any]) -> Row:
        """A row in short: paths in the folder, and no names of columns."""
        short = [row[name] for name in (*COLUMNS, 'row')]
        for number, path in enumerate(short[:len(PATHS)]):
            if isinstance(path, str):
                short[number] = path.removeprefix(self._inside)
        if short[-1] is not None:
            short[-1] = short[-1].removeprefix(self.manifest)
        return tuple(short)

    def _unpacked(self, packed: Row) -> dict[str, Any]:
        """The row again."""
        row = dict(zip((*COLUMNS, 'row'), packed, strict=True))
        for name in PATHS:
            path = row[name]
            if isinstance(path, str) and not path.startswith(os.sep):
                row[name] = self._inside + path
        if row['row'] is not None:
            row['row'] = self.manifest + row['row']
        return row

    def _names(self, row: dict[str, Any]) -> tuple[str, str]:
        """The video's name and the clip's."""
        name = row['video'].removeprefix(self._inside)
        if name.startswith(os.sep):
            name = os.path.relpath(name, self.folder)
        cut = ''
        if segment_of(row) is not None:
            start, stop = segment_of(row)
            cut = f'_{start}-{"end" if stop is None else stop}'
        return name, f'{row["domain"]}_{name}{cut}'

    def _sources(self, row: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Where the clip's media are."""
        segment, sound = segment_of(row), row['audio']
        if sound is True:
            sound = self._computed_sound(row)
        return dict(
            video=picture_source('RGB', row['video'], segment=segment),
            flow=picture_source('Flow', self._flow_of(row), segment=None),
            audio=sound_source(sound or row['video'], segment))

    def _computed_sound(self, row: dict[str, Any]) -> str:
        """Where the sound of the clip's video is, if it was computed."""
        return audio_path(self.cache, self.folder, row['video'])

    def _flow_of(self, row: dict[str, Any]) -> tuple[str, str]:
        """The clip's flow files, its own or computed ones."""
        if row['flow_x'] is not None:
            return row['flow_x'], row['flow_y']
        return flow_paths(self.cache, self.folder, row['video'],
                          segment_of(row))

    def _check_flow(self) -> None:
        """Raise where flow is wanted and none of it is there."""
        if 'flow' not in self.modalities:
            return
        first = None
        # Not the first alone: its video may be one that cannot be read.
        for row in map(self._unpacked, self._chosen):
            if row['flow_x'] is None:
                first = first or row
                if os.path.isfile(self._flow_of(row)[0]):
                    return
        if first is not None:
            path = self._flow_of(first)[0]
            raise FileNotFoundError(
                f'{first["row"]}: names no flow, and none was computed '
                f'at {path}. Run `python tools/data/extract_flow.py '
                f'{self.manifest}` (with --cache or --data-root if the '
                "config sets them), or leave flow out of the model's "
                'modalities. docs/own_data.md tells more')

    def _class_of(self, row: dict[str, Any]) -> int:
        """The label as a number."""
        label = row['label']
        if isinstance(label, str):
            if self.classes is None:
                raise ValueError(
                    f'{row["row"]}: label {label!r} is text: expected a '
                    'number, or classes=[...] in the dataset, whose order '
                    'numbers them')
            if label not in self.classes:
                raise ValueError(f'{row["row"]}: label {label!r} is no '
                                 f'class: expected one of {self.classes}')
            return self.classes.index(label)
        problem = label_problem(label, self.num_classes)
        if problem:
            raise ValueError(f'{row["row"]}: {problem}')
        return label


def _checked_classes(classes: Sequence[str] | None,
                     num_classes: int | None) -> list[str] | None:
    """The names of the classes, each once, as many as there are classes."""
    if classes is None:
        return None
    names = list(classes)
    if isinstance(classes, str) or not names or len(set(names)) < len(names):
        raise ValueError('classes: expected a list of names, each once, got '
                         f'{classes!r}')
    if num_classes not in (None, len(names)):
        raise ValueError(f'expected num_classes={len(names)}, as many as '
                         f'classes, got {num_classes}')
    for number, name in enumerate(names):
        if re.fullmatch('[+-]?[0-9]+', name) and name != str(number):
            raise ValueError(
                f'classes: {name!r} would be read as the number of a class, '
                f'and it is number {number}: expected names that are no '
                'numbers')
    return names
