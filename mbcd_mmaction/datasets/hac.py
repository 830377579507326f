"""HAC: humans, animals and cartoon figures in seven actions."""
import csv
import io
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from mmaction.registry import DATASETS
from mmengine.logging import print_log

from .choices import (
    MODALITIES,
    Place,
    absent_folders,
    choose,
    find_root,
    missing,
    pick_place,
)
from .multimodal import MultiModalDataset
from .records import make_record, picture_source, sound_source
from .text_file import read_text

ANNOTATION_FOLDER = 'HAC_Splits'
CLASSES = ('sleeping', 'watching tv', 'eating', 'drinking', 'swimming',
           'running', 'opening door')
DOMAINS = ('human', 'animal', 'cartoon')
SPLITS = ('train', 'test', 'all')
LAYOUTS = ('beside', 'inside')
FOLDERS = dict(video='videos', flow='flow', audio='audio')


def clip_sources(media: str, domain: str,
                 name: str) -> dict[str, dict[str, Any]]:
    """Where one clip's media are.

    Args:
        media (str): The folder that holds the domains' folders.
        domain (str): 'human', 'animal' or 'cartoon'.
        name (str): File name of the clip's video, as annotated.

    Returns:
        dict[str, dict]: For each modality what :class:`ClipInit` and
        :class:`LoadAudioClip` read: whole files.
    """
    stem = os.path.splitext(name)[0]

    def path(kind: str, file: str) -> str:
        return os.path.join(media, domain, FOLDERS[kind], file)

    return dict(
        video=picture_source('RGB', path('video', name)),
        flow=picture_source('Flow', (path('flow', f'{stem}_flow_x.mp4'),
                                     path('flow', f'{stem}_flow_y.mp4'))),
        audio=sound_source(path('audio', f'{stem}.wav'), None))


@DATASETS.register_module()
class HACDataset(MultiModalDataset):
    """HAC (Human-Animal-Cartoon), three kinds of actors as domains.

    Protocol: train on the sources' train split, validate on their test
    split, test on the target's two splits together ('all'). Media lie beside
    the folder ``HAC_Splits`` or in it; which it is, is found by looking.
    ``data_root`` is the folder that holds ``HAC_Splits``, or that folder
    itself.

    24 of the human clips are in both splits. Where ``drop_duplicates`` is
    set, 'test' leaves out what is also in train, and every split has each
    file once; how many were left out is in the log, as are files that are
    listed with different labels.

    Args:
        data_root (str): Root folder of the set.
        domains (str | Sequence[str]): Some of 'human', 'animal', 'cartoon'.
        split (str): 'train', 'test' or 'all', which is both, train first.
        modalities (Sequence[str]): Some of 'video', 'flow', 'audio'; the
            others' files are not looked for. Defaults to all three.
        drop_duplicates (bool): See above. Defaults to False: the published
            protocol.
        layout (str, optional): 'beside' or 'inside' ``HAC_Splits``. Defaults
            to None: where they are.
        num_classes (int): Number of classes K. Defaults to 7.
        **kwargs: See :class:`MultiModalDataset`.

    Raises:
        FileNotFoundError: ``data_root``, an annotation file that is needed,
            or the folder of a modality and domain does not exist. Raised
            here, also with ``lazy_init=True``.
        ValueError: Unknown or repeated domain, split, modality or layout,
            both layouts at once, no clips, a row that cannot be read, or a
            label outside [0, K).
    """

    METAINFO = dict(dataset_type='hac', classes=CLASSES, domains=DOMAINS)

    def __init__(self,
                 data_root: str,
                 domains: str | Sequence[str],
                 split: str,
                 modalities: Sequence[str] = MODALITIES,
                 pipeline: Sequence[dict | Callable] = (),
                 drop_duplicates: bool = False,
                 layout: str | None = None,
                 num_classes: int = len(CLASSES),
                 **kwargs: Any) -> None:
        self.domains = choose('domains', domains, DOMAINS)
        self.split, = choose('split', [split], SPLITS)
        self.modalities = choose('modalities', modalities, MODALITIES)
        self.drop_duplicates = drop_duplicates
        root = find_root(data_root, ANNOTATION_FOLDER)
        if root is None:
            raise FileNotFoundError(_missing(
                f'the folder {os.path.abspath(data_root)}'))
        self.annotations = {
            (domain, part): _find_annotation(root, domain, part)
            for domain in self.domains for part in self._parts()
        }
        self.layout, self.media, _ = self._find_media(root, layout)
        super().__init__(
            data_root=data_root,
            pipeline=pipeline,
            num_classes=num_classes,
            **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per annotated clip, domain by domain, train first."""
        records = []
        for domain in self.domains:
            records += self._records(domain)
        return self._checked(records, self.annotations.values())

    def _parts(self) -> list[str]:
        """The annotation files that are read."""
        if self.split == 'all' or (self.split == 'test'
                                   and self.drop_duplicates):
            return ['train', 'test']
        return [self.split]

    def _records(self, domain: str) -> list[dict[str, Any]]:
        """The records of one domain."""
        labels: dict[str, list[int]] = defaultdict(list)
        records, dropped = [], 0
        for part in self._parts():
            for name, label in read_rows(self.annotations[domain, part]):
                labels[name].append(label)
                if self.split not in (part, 'all'):
                    continue  # train is read to know what is in it
                if self.drop_duplicates and len(labels[name]) > 1:
                    dropped += 1
                    continue
                records.append(self._record(domain, part, name, label))
        if dropped:
            print_log(f'HAC, {domain}: {dropped} clips of the split '
                      f'{self.split!r} are left out, as they are listed '
                      'before', 'current')
        several = {name: found for name, found in labels.items()
                   if len(set(found)) > 1}
        if several:
            print_log(f'HAC, {domain}: files with different labels, in the '
                      f'order of their rows: {several}', 'current',
                      logging.WARNING)
        return records

    def _record(self, domain: str, part: str, name: str,
                label: int) -> dict[str, Any]:
        """The record of one clip."""
        return make_record(
            label=label,
            domain=domain,
            split=part,
            # Animals and cartoons share hundreds of file names.
            clip_id=f'{domain}_{part}_{os.path.splitext(name)[0]}',
            video_id=f'{domain}/{name}',
            sources=clip_sources(self.media, domain, name),
            modalities=self.modalities)

    def _find_media(self, root: str, layout: str | None) -> Place:
        """The folder in which the domains' folders are."""
        root = os.path.abspath(root)
        folders = dict(beside=os.path.dirname(root), inside=root)
        layouts = LAYOUTS if layout is None else choose(
            'layout', layout, LAYOUTS)
        places = [Place(name, folders[name], absent_folders(
            (domain, modality,
             os.path.join(folders[name], domain, FOLDERS[modality]))
            for domain in self.domains for modality in self.modalities))
            for name in layouts]
        return pick_place('HAC', places, _missing)


def _find_annotation(root: str, domain: str, part: str) -> str:
    """Path of the annotation file of a domain and split."""
    root = os.path.abspath(root)
    name = f'HAC_{part}_only_{domain}.csv'
    path = os.path.join(root, name)
    if not os.path.isfile(path):
        places = [path]
        if os.path.basename(root) != ANNOTATION_FOLDER:
            places.insert(0, os.path.join(root, ANNOTATION_FOLDER, name))
        raise FileNotFoundError(_missing(
            f'the annotation file {" or ".join(places)}'))
    return path


def read_rows(path: str) -> list[tuple[str, int]]:
    """Rows ``file.mp4,label`` of an annotation file without a header.

    Args:
        path (str): The CSV file.

    Returns:
        list[tuple[str, int]]: File name and label. A space before the
        suffix, which one of the real names has, is part of the name.

    Raises:
        ValueError: The file is not UTF-8, or a row is something else; it is
            named.
    """
    rows = []
    lines = csv.reader(io.StringIO(read_text(path), newline=''))
    for number, row in enumerate(lines, start=1):
        if not row:
            continue
        try:
            name, label = row
            rows.append((name.strip(), int(label)))
        except ValueError as error:
            raise ValueError(
                f'{path}, line {number}: expected file.mp4,label with a '
                f'whole number, got {",".join(row)!r}') from error
        if not name.strip():
            raise ValueError(f'{path}, line {number}: the file name is '
                             'blank')
    return rows


def _missing(what: str) -> str:
    """Text of the error for an absent part of the set."""
    return missing(
        'HAC', what,
        f'data_root is the folder that holds {ANNOTATION_FOLDER}, with '
        'HAC_train_only_human.csv, ... in it, or that folder itself; the '
        'media are in {human,animal,cartoon}/{videos,flow,audio}/ beside '
        f"{ANNOTATION_FOLDER} (layout='beside') or in it (layout='inside')")
