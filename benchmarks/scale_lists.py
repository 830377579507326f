"""Long lists of clips without media, for benchmarks/scale.py."""
import csv
from pathlib import Path
from typing import Any

ANNOTATIONS = 'MM-SADA_Domain_Adaptation_Splits'
MODALITIES = ['video', 'flow', 'audio']
CLASSES = 8


def make_lists(root: Path, clips: int) -> dict[str, dict[str, Any]]:
    """Write the annotation and the manifest that are not there yet.

    Args:
        root (Path): Gets a folder of each kind and number of clips.
        clips (int): Rows.

    Returns:
        dict[str, dict]: Name to the config of the dataset that reads it.
    """
    kinds = dict(epic=(_epic, _epic_config), manifest=(_manifest,
                                                       _manifest_config))
    configs = {}
    for kind, (write, config) in kinds.items():
        folder = root / f'{kind}-{clips}'
        if not (folder / 'ready').exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(folder, clips)
            (folder / 'ready').touch()
        configs[kind] = dict(config(folder), modalities=MODALITIES)
    return configs


def _epic(folder: Path, clips: int) -> None:
    """An annotation, recordings of 1000 clips, and empty folders."""
    root = folder / ANNOTATIONS
    for modality in MODALITIES:
        (root / modality / 'train/D1').mkdir(parents=True)
    with open(root / 'D1_train.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['video_id', 'start_timestamp', 'stop_timestamp',
                         'start_frame', 'stop_frame', 'verb_class'])
        for number in range(clips):
            start = number % 1000 * 180 + 7
            stop = start + 61 + number % 97
            writer.writerow([f'P08_{number // 1000:04}', _clock(start),
                             _clock(stop), start, stop, number % CLASSES])


def _clock(frame: int) -> str:
    """The annotations' way to write the time of a frame."""
    seconds = frame / 60
    return (f'{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:'
            f'{seconds % 60:05.2f}')


def _epic_config(folder: Path) -> dict[str, Any]:
    return dict(type='EpicKitchensDataset', data_root=str(folder),
                domains='D1', split='train')


def _manifest(folder: Path, clips: int) -> None:
    """Whole videos, each with its flow; the sound is their own."""
    with open(folder / 'clips.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['video', 'flow_x', 'flow_y', 'label', 'domain',
                         'split'])
        for number in range(clips):
            stem = f'{number // 1000:04}/clip_{number:07}'
            writer.writerow([f'videos/{stem}.mp4', f'flow/{stem}_x.mp4',
                             f'flow/{stem}_y.mp4', number % CLASSES, 'home',
                             'train'])


def _manifest_config(folder: Path) -> dict[str, Any]:
    return dict(type='ManifestDataset', ann_file=str(folder / 'clips.csv'),
                domains='home', split='train', num_classes=CLASSES)
