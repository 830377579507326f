"""HAC: humans, animals and cartoon figures in seven actions."""
import csv
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from mmaction.registry import DATASETS
from mmengine.logging import print_log

from .choices import MODALITIES, choose, find_root
from .multimodal import MultiModalDataset

ANNOTATION_FOLDER = 'HAC_Splits'
CLASSES = ('sleeping', 'watching tv', 'eating', 'drinking', 'swimming',
           'running', 'opening door')
DOMAINS = ('human', 'animal', 'cartoon')
SPLITS = ('train', 'test', 'all')
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
        video=dict(filename=path('video', name), modality='RGB',
                   start_index=0),
        flow=dict(
            filename=(path('flow', f'{stem}_flow_x.mp4'),
                      path('flow', f'{stem}_flow_y.mp4')),
            modality='Flow',
            start_index=0),
        audio=dict(filename=path('audio', f'{stem}.wav'), modality='Audio',
                   segment=None))


@DATASETS.register_module()
class HACDataset(MultiModalDataset):
    """HAC (Human-Animal-Cartoon), three kinds of actors as domains.

    Protocol: train on the sources' train split, validate on their test
    split, test on the target's two splits together ('all'). Media lie beside
    the folder ``HAC_Splits`` or in it; either is found. ``data_root`` is the
    folder that holds ``HAC_Splits``, or that folder itself.

    24 of the human clips are in both splits. Where ``drop_duplicates`` is
    set, 'test' leaves them out and 'all' has them once.

    Args:
        data_root (str): Root folder of the set.
        domains (str | Sequence[str]): Some of 'human', 'animal', 'cartoon'.
        split (str): 'train', 'test' or 'all', which is both.
        modalities (Sequence[str]): Some of 'video', 'flow', 'audio'; the
            others' files are not looked for. Defaults to all three.
        drop_duplicates (bool): See above. Defaults to False: the published
            protocol.
        num_classes (int): Number of classes K. Defaults to 7.
        **kwargs: See :class:`MultiModalDataset`.

    Raises:
        FileNotFoundError: ``data_root``, an annotation file, or the folder
            of a modality and domain does not exist.
        ValueError: Unknown or repeated domain, split or modality, no clips,
            a row that cannot be read, or a label outside [0, K).
    """

    METAINFO = dict(dataset_type='hac', classes=CLASSES, domains=DOMAINS)

    def __init__(self,
                 data_root: str,
                 domains: str | Sequence[str],
                 split: str,
                 modalities: Sequence[str] = MODALITIES,
                 pipeline: Sequence[dict | Callable] = (),
                 drop_duplicates: bool = False,
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
            (domain, part): self._find_annotation(root, domain, part)
            for domain in self.domains for part in ('train', 'test')
        }
        self.media = self._find_media(root)
        super().__init__(
            data_root=data_root,
            pipeline=pipeline,
            num_classes=num_classes,
            **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per annotated clip, domain by domain, train first."""
        records = [
            self._record(domain, part, name, label)
            for domain in self.domains
            for part, name, label in self._rows(domain)
        ]
        if not records:
            raise ValueError('no clips: expected at least one row in '
                             f'{sorted(self.annotations.values())}')
        self._check_labels(records)
        return records

    def _rows(self, domain: str) -> list[tuple[str, str, int]]:
        """(split, file name, label) of a domain's clips."""
        rows = {part: read_rows(self.annotations[domain, part])
                for part in ('train', 'test')}
        self._check_agreement(domain, rows)
        if self.drop_duplicates and self.split != 'train':
            known = {name for name, _ in rows['train']}
            kept = [row for row in rows['test'] if row[0] not in known]
            dropped = len(rows['test']) - len(kept)
            if dropped:
                print_log(f'HAC, {domain}: {dropped} clips of the test split '
                          'that are also in train are left out of it',
                          'current')
            rows['test'] = kept
        parts = ('train', 'test') if self.split == 'all' else (self.split, )
        return [(part, name, label) for part in parts
                for name, label in rows[part]]

    def _check_agreement(self, domain: str,
                         rows: dict[str, list[tuple[str, int]]]) -> None:
        """Raise a ValueError where one file has two labels."""
        labels = defaultdict(set)
        for name, label in (*rows['train'], *rows['test']):
            labels[name].add(label)
        several = {name: sorted(found) for name, found in labels.items()
                   if len(found) > 1}
        if several:
            paths = [self.annotations[domain, part]
                     for part in ('train', 'test')]
            raise ValueError(f'{" and ".join(paths)}: expected one label a '
                             f'file, got {several}')

    def _record(self, domain: str, part: str, name: str,
                label: int) -> dict[str, Any]:
        """The record of one clip."""
        sources = clip_sources(self.media, domain, name)
        return dict(
            label=label,
            domain=domain,
            split=part,
            # Animals and cartoons share hundreds of file names.
            clip_id=f'{domain}_{part}_{os.path.splitext(name)[0]}',
            video_id=f'{domain}/{name}',
            start=None,
            stop=None,
            modalities=self.modalities,
            sources={m: sources[m] for m in self.modalities})

    @staticmethod
    def _find_annotation(root: str, domain: str, part: str) -> str:
        """Path of the annotation file of a domain and split."""
        path = os.path.join(root, f'HAC_{part}_only_{domain}.csv')
        if not os.path.isfile(path):
            raise FileNotFoundError(_missing(
                f'the annotation file {os.path.abspath(path)}'))
        return path

    def _find_media(self, root: str) -> str:
        """The folder in which the domains' folders are."""
        inside = os.path.join(root, self.domains[0])
        media = root if os.path.isdir(inside) else os.path.dirname(
            os.path.abspath(root))
        for domain in self.domains:
            for modality in self.modalities:
                folder = os.path.join(media, domain, FOLDERS[modality])
                if not os.path.isdir(folder):
                    raise FileNotFoundError(_missing(
                        f"the folder of {domain}'s {modality} files, "
                        f'{os.path.abspath(folder)}, or the same in '
                        f'{os.path.abspath(root)}'))
        return media


def read_rows(path: str) -> list[tuple[str, int]]:
    """Rows ``file.mp4,label`` of an annotation file without a header.

    Args:
        path (str): The CSV file.

    Returns:
        list[tuple[str, int]]: File name and label.

    Raises:
        ValueError: A row is something else; it is named.
    """
    rows = []
    with open(path, newline='', encoding='utf-8-sig') as file:
        for number, row in enumerate(csv.reader(file), start=1):
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
    return (f'HAC: expected {what}, which does not exist. data_root is the '
            f'folder that holds {ANNOTATION_FOLDER}, with '
            'HAC_train_only_human.csv, ... in it; the media are in '
            '{human,animal,cartoon}/{videos,flow,audio}/ beside these files '
            f'or beside {ANNOTATION_FOLDER}. docs/data_preparation.md tells '
            'how to get it')
