"""Whole tiny sets in every layout that the datasets read."""
import csv
import json
from pathlib import Path

import cv2
import numpy as np
import tiny_media

HEIGHT, WIDTH = 48, 64


def pictures(count, seed=0, channels=3):
    """(H, W, C) or (H, W) uint8 frames: a square that walks to the right."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 190, (6, 8, channels), dtype=np.uint8)
    ground = cv2.resize(ground, (WIDTH, HEIGHT)).reshape(
        HEIGHT, WIDTH, channels)
    frames = []
    for number in range(count):
        frame = ground.copy()
        x = 2 * number % (WIDTH - 16)
        frame[16:32, x:x + 16] = 230
        frames.append(frame.squeeze())
    return frames


def write_frames(folder, first, frames):
    """One jpg a frame, numbered from ``first``."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=first):
        cv2.imwrite(str(Path(folder, f'frame_{number:010d}.jpg')), frame,
                    [cv2.IMWRITE_JPEG_QUALITY, 95])


def write_epic_frames(root, domains=('D1', ), splits=('train', ), clips=2,
                      frames=40):
    """EPIC-Kitchens as jpg frames; returns rows by file stem."""
    rng = np.random.default_rng(0)
    rows = {}
    for domain in domains:
        for split in splits:
            items = [tiny_media.row(start=60 * n + 1,
                                    stop=60 * n + 1 + frames, label=n % 8)
                     for n in range(clips)]
            place = Path(split, domain)
            for item in items:
                start = item['start_frame']
                video_id = item['video_id']
                write_frames(Path(root, 'rgb', place, video_id), start,
                             pictures(frames, start))
                for axis in 'uv':
                    write_frames(Path(root, 'flow', place, video_id, axis),
                                 (start + 1) // 2,
                                 pictures(frames // 2, start, 1))
            tiny_media.write_wav(
                Path(root, 'rgb', place, f'{video_id}.wav'),
                rng.uniform(-.5, .5, tiny_media.RATE * (clips + 1)))
            name = f'{domain}_{split}'
            tiny_media.write_annotations(
                Path(root, 'MM-SADA_Domain_Adaptation_Splits',
                     f'{name}.csv'), items)
            rows[name] = items
    return rows


def write_epic_clips(root, clips=2, frames=20):
    """EPIC-Kitchens as mp4 clips of 60 frames a second, D1 train.

    Returns the rows. :func:`tiny_media.write_set` has noise for pictures.
    """
    items = [tiny_media.row(start=60 * n + 1, stop=60 * n + 1 + frames,
                            label=n % 8) for n in range(clips)]
    for item in items:
        seed = item['start_frame']
        video, u, v, sound = tiny_media.media_paths(root, 'D1', 'train', item)
        tiny_media.write_video(video, pictures(frames, seed), rate=60)
        for path in (u, v):
            tiny_media.write_video(path, pictures(frames // 2, seed, 1))
    tiny_media.write_wav(sound, np.random.default_rng(0).uniform(
        -.5, .5, tiny_media.RATE * (clips + 1)))
    tiny_media.write_annotations(Path(root, 'D1_train.csv'), items)
    return items


def write_hac_splits(folder, rows):
    """The annotation files; ``rows`` by (domain, split), others empty."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for domain in ('human', 'animal', 'cartoon'):
        for split in ('train', 'test'):
            path = Path(folder, f'HAC_{split}_only_{domain}.csv')
            with open(path, 'w', newline='') as file:
                csv.writer(file).writerows(rows.get((domain, split), ()))


def write_hac(root, domains=('human', 'animal', 'cartoon'), clips=2,
              frames=40, inside=False):
    """HAC at 24 frames a second, full-rate flow of a frame less.

    ``inside`` puts the media into ``HAC_Splits`` too.
    """
    splits = Path(root, 'HAC_Splits')
    media = splits if inside else Path(root)
    rows = {}
    for domain in domains:
        for split in ('train', 'test'):
            names = [f'{split}_{n}.mp4' for n in range(clips)]
            rows[domain, split] = [(name, n % 7)
                                   for n, name in enumerate(names)]
            for seed, name in enumerate(names):
                stem = Path(name).stem
                tiny_media.write_video(
                    media / domain / 'videos' / name,
                    pictures(frames, seed), rate=24)
                for axis in 'xy':
                    tiny_media.write_video(
                        media / domain / 'flow' / f'{stem}_flow_{axis}.mp4',
                        pictures(frames - 1, seed, 1), rate=24)
                tiny_media.write_wav(
                    media / domain / 'audio' / f'{stem}.wav',
                    np.random.default_rng(seed).uniform(
                        -.5, .5, round(tiny_media.RATE * frames / 24)))
    write_hac_splits(splits, rows)
    return rows


def write_manifest(path, rows, delimiter=','):
    """Dicts as CSV, or as JSON Lines by the file's name; returns it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if str(path).endswith('.jsonl'):
        Path(path).write_text(
            ''.join(json.dumps(row) + '\n' for row in rows))
        return path
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path
