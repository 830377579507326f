"""A manifest of videos that lie in folders by domain and class."""
import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

COLUMNS = ('video', 'label', 'domain', 'split')
SUFFIXES = frozenset([
    '.3gp', '.avi', '.flv', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg',
    '.mpg', '.mts', '.ogv', '.ts', '.webm', '.wmv'
])


class Row(NamedTuple):
    """One video.

    Attributes:
        video (str): Path relative to the folder, with slashes.
        label (str): Name of its class.
        domain (str): Its domain.
        split (str): 'train' or 'test'.
    """
    video: str
    label: str
    domain: str
    split: str


def list_videos(folder: str | Path, test_share: float = 0.2) -> list[Row]:
    """Find ``folder/domain/class/...`` videos and split them.

    The split depends on each video's path below the folder alone: whoever
    adds videos leaves the others where they were, and the folder may be
    moved. Only where all videos of a domain and class would fall into one
    split, one of them goes to the other, until videos are added that spare
    it; a single one is for training.

    Args:
        folder (str | Path): The folder. In it, hidden files and ``derived``,
            where computed files lie, are passed over.
        test_share (float): Expected share of the test split, in [0, 1).
            Defaults to 0.2; 0 puts all into training.

    Returns:
        list[Row]: By path.

    Raises:
        FileNotFoundError: There is no such folder, or no video in it.
        ValueError: The share is out of range, a video lies outside of a
            folder of a domain and a class, or one of these has a name that
            begins or ends with white space.
    """
    if not 0 <= test_share < 1:
        raise ValueError('expected a test share from 0 to below 1, got '
                         f'{test_share}')
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f'expected a folder with domain/class/video files, found none at '
            f'{folder.absolute()}')
    groups = defaultdict(list)
    for path in _videos(folder):
        if len(path.parts) < 3:
            raise ValueError(
                f'{folder / path}: expected videos in {folder}/DOMAIN/CLASS/')
        for name in path.parts[:2]:
            # A manifest's cells lose it, and the file would not be found.
            if name != name.strip():
                raise ValueError(f'{folder / path}: expected the name of a '
                                 'domain or class without white space around '
                                 f'it, got {name!r}: rename the folder')
        groups[path.parts[:2]].append(path.as_posix())
    if not groups:
        raise FileNotFoundError(
            f'expected videos ({", ".join(sorted(SUFFIXES))}) in '
            f'{folder}/DOMAIN/CLASS/, found none')
    rows = []
    for (domain, label), videos in groups.items():
        test = _test_split(videos, test_share)
        rows += [Row(video, label, domain,
                     'test' if video in test else 'train')
                 for video in videos]
    return sorted(rows)


def _videos(folder: Path) -> list[Path]:
    """Paths of all videos, relative to the folder."""
    found = []
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not name.startswith('.')
                      and (here / name).as_posix() != 'derived']
        found += [here / name for name in files if not name.startswith('.')
                  and Path(name).suffix.lower() in SUFFIXES]
    return found


def _test_split(videos: Sequence[str], share: float) -> set[str]:
    """Those of one domain and class that belong to the test split."""
    if not share or len(videos) == 1:
        return set()
    numbers = {video: _number(video) for video in videos}
    test = {video for video in videos if numbers[video] < share}
    if not test:
        return {min(videos, key=numbers.get)}
    if len(test) == len(videos):
        test.remove(max(videos, key=numbers.get))
    return test


def _number(text: str) -> float:
    """A number in [0, 1) that a text always gives."""
    digest = hashlib.sha256(os.fsencode(text)).digest()
    return int.from_bytes(digest[:6], 'big') / 2**48


def write_rows(path: str | Path, rows: Sequence[Row]) -> None:
    """Write a CSV manifest, whole or not at all.

    Args:
        path (str | Path): The file, replaced if it exists.
        rows (Sequence[Row]): What goes into it.
    """
    path = Path(path)
    new = path.with_name(path.name + '.new')
    with open(new, 'w', newline='', encoding='utf-8',
              errors='surrogateescape') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    os.replace(new, path)


def summary(rows: Sequence[Row]) -> str:
    """What was found: the classes as a config wants them, and counts."""
    classes = sorted({row.label for row in rows})
    domains = sorted({row.domain for row in rows})
    counts = defaultdict(int)
    for row in rows:
        counts[row.domain, row.label, row.split] += 1
    width = max(len(name) for name in (*domains, 'domain')) + 2
    columns = [max(len(name), 7) for name in classes]
    lines = [
        f'classes = {classes}',
        f'domains = {domains}',
        '',
        'videos in train/test:',
        'domain'.ljust(width) + '  '.join(
            name.rjust(size)
            for name, size in zip(classes, columns, strict=True))
    ]
    for domain in domains:
        cells = [
            f'{counts[domain, name, "train"]}/{counts[domain, name, "test"]}'
            for name in classes
        ]
        lines.append(domain.ljust(width) + '  '.join(
            cell.rjust(size)
            for cell, size in zip(cells, columns, strict=True)))
    return '\n'.join(lines)
