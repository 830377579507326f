"""Data in the layouts that MMAction2's own configs read, small and random."""
import pickle

import numpy as np
from tiny_media import write_video

FRAMES = 24
HEIGHT, WIDTH = 48, 64
LABELS = dict(train=(0, 3, 1, 2), val=(2, 0, 4, 1, 5, 6))


def write_all(root):
    """Write videos, sound features and skeletons.

    Returns:
        dict: 'video', 'audio', 'pose' and 'rgbpose' to the options of a
        dataset for 'train' and 'val'.
    """
    root.mkdir()
    rng = np.random.default_rng(0)
    found = dict(video={}, audio={}, pose={}, rgbpose={})
    for split, labels in LABELS.items():
        names = [f'{split}_{n}' for n in range(len(labels))]
        for name in names:
            write_video(root / 'video' / f'{name}.mp4', [
                rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                for _ in range(FRAMES)])
            (root / 'audio').mkdir(exist_ok=True)
            np.save(root / 'audio' / f'{name}.npy',
                    rng.random((80, 80), dtype=np.float32))
        _write_list(root / f'video_{split}.txt', (
            f'{name}.mp4 {label}' for name, label in zip(names, labels,
                                                         strict=True)))
        _write_list(root / f'audio_{split}.txt', (
            f'{name}.npy 80 {label}' for name, label in zip(names, labels,
                                                            strict=True)))
        for kind in ('video', 'audio'):
            found[kind][split] = {
                'ann_file': root / f'{kind}_{split}.txt',
                f'data_prefix.{kind}': root / kind}
        found['pose'][split] = dict(ann_file=root / 'pose.pkl')
        found['rgbpose'][split] = {'ann_file': root / 'pose.pkl',
                                   'data_prefix.video': root / 'video'}
    _write_skeletons(root / 'pose.pkl', rng)
    return found


def _write_list(path, lines):
    path.write_text('\n'.join(lines) + '\n')


def _write_skeletons(path, rng):
    """One person of 17 joints in each frame, as PoseDataset wants them."""
    annotations = [
        dict(frame_dir=f'{split}_{n}', label=label, total_frames=FRAMES,
             img_shape=(HEIGHT, WIDTH), original_shape=(HEIGHT, WIDTH),
             keypoint=rng.uniform(4, HEIGHT - 4, (1, FRAMES, 17, 2)).astype(
                 np.float32),
             keypoint_score=np.ones((1, FRAMES, 17), np.float32))
        for split, labels in LABELS.items()
        for n, label in enumerate(labels)]
    splits = {f'xsub_{split}': [a['frame_dir'] for a in annotations
                                if a['frame_dir'].startswith(split)]
              for split in LABELS}
    with open(path, 'wb') as file:
        pickle.dump(dict(split=splits, annotations=annotations), file)
