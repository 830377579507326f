"""Making of the mini set: layout, annotation files, stamp, process pool."""
import csv
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
from mmengine.utils import ProgressBar

from ..extraction.encode import write_sound, write_video
from .motion import optical_flow
from .plan import ClipPlan, RecordingPlan, plan_split
from .recipe import (
    ACTIONS,
    CLASSES,
    DOMAINS,
    RECIPE_VERSION,
    SPLITS,
)
from .render import recording_ground, render_clip
from .sound import render_recording

SPLITS_DIR = 'MM-SADA_Domain_Adaptation_Splits'
STAMP_NAME = 'mini_set.json'
COLUMNS = ('uid', 'participant_id', 'video_id', 'narration',
           'start_timestamp', 'stop_timestamp', 'start_frame', 'stop_frame',
           'verb', 'verb_class')

_PARTIAL_DIR = '.partial'
_VIDEO_QUALITY = 28
_FLOW_QUALITY = 26


def _timestamp(frame: int, frame_rate: int) -> str:
    hundredths = round(100 * frame / frame_rate)
    minutes, rest = divmod(hundredths, 6000)
    return f'{minutes // 60:02d}:{minutes % 60:02d}:{rest / 100:05.2f}'


def _clip_names(plan: RecordingPlan, clip: ClipPlan) -> tuple[str, str, str]:
    """File names of a clip: video, flow u, flow v."""
    stem = f'{plan.domain}_{plan.video_id}'
    verb, stop = clip.verb_class, clip.flow_start + clip.num_flows
    video = f'{stem}_{clip.start_frame}_{clip.stop_frame}_{verb}.mp4'
    flow = f'{stem}_{clip.flow_start}_{stop}_{verb}'
    return video, f'{flow}_u.mp4', f'{flow}_v.mp4'


def _write_recording(task: tuple[RecordingPlan, str]) -> None:
    """Render and write every file of one recording."""
    plan, folder = task
    video_dir, flow_dir, audio_dir = (
        Path(folder, kind, plan.split, plan.domain)
        for kind in ('video', 'flow', 'audio'))
    write_sound(audio_dir / f'{plan.video_id}.wav', render_recording(plan))
    ground, rate = recording_ground(plan), Fraction(plan.frame_rate)
    for position, clip in enumerate(plan.clips):
        video, *flows = _clip_names(plan, clip)
        frames = render_clip(plan, position, clip.num_frames + 2, ground)
        write_video(video_dir / video, frames[:clip.num_frames], rate,
                    _VIDEO_QUALITY)
        fields = optical_flow(frames, clip.start_frame % 2, clip.num_flows)
        for name, field in zip(flows, fields, strict=True):
            write_video(flow_dir / name, field, rate / 2, _FLOW_QUALITY)


def _write_annotations(path: Path, plans: list[RecordingPlan],
                       first_uid: int) -> int:
    """Write one annotation file; returns the next free uid."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        for plan in plans:
            for clip in plan.clips:
                action, rate = ACTIONS[clip.label], plan.frame_rate
                writer.writerow(
                    (first_uid, DOMAINS[plan.domain].participant,
                     plan.video_id, f'{action.verb} {action.noun}',
                     _timestamp(clip.start_frame, rate),
                     _timestamp(clip.stop_frame, rate), clip.start_frame,
                     clip.stop_frame, action.verb, clip.verb_class))
                first_uid += 1
    return first_uid


def _make_plans(seed: int, num_clips: dict[str, int],
                unknown: bool) -> dict[str, list[RecordingPlan]]:
    plans = {}
    for domain in DOMAINS:
        number = 1
        for split in SPLITS:
            name = f'{domain}_{split}'
            plans[name] = plan_split(seed, domain, split, num_clips[split],
                                     number, unknown)
            number += len(plans[name])
    return plans


def _run(tasks: list[tuple], workers: int) -> Iterator[None]:
    """Write all recordings, in this process or in several."""
    threads = cv2.getNumThreads()
    # Also ends OpenCV's threads: a forked worker would wait for them.
    cv2.setNumThreads(1)
    try:
        if workers < 2:
            yield from map(_write_recording, tasks)
            return
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(
            'fork' if 'fork' in methods else None)
        with context.Pool(min(workers, len(tasks)), cv2.setNumThreads,
                          (1, )) as pool:
            yield from pool.imap_unordered(_write_recording, tasks)
    finally:
        cv2.setNumThreads(threads)


def _measure(folder: Path) -> dict[str, int]:
    sizes = [p.stat().st_size for p in folder.rglob('*') if p.is_file()]
    return dict(num_files=len(sizes), num_bytes=sum(sizes))


def _read_stamp(root: Path) -> dict | None:
    try:
        stamp = json.loads((root / STAMP_NAME).read_text(encoding='utf-8'))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.get(
        'made_by') == 'mbcd_mmaction' else None


def _write_stamp(root: Path, stamp: dict) -> None:
    new = root / f'{STAMP_NAME}.new'
    new.write_text(json.dumps(stamp, indent=1) + '\n', encoding='utf-8')
    os.replace(new, root / STAMP_NAME)


def _check(root: Path, train_clips: int, test_clips: int) -> None:
    for name, value in dict(train_clips=train_clips,
                            test_clips=test_clips).items():
        if value < len(CLASSES) or value % len(CLASSES):
            raise ValueError(
                f'{name}: expected a positive multiple of {len(CLASSES)}, as '
                f'the classes are balanced; got {value}')
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root} is a file, expected a folder or none')
    if root.is_dir() and any(root.iterdir()) and _read_stamp(root) is None:
        raise FileExistsError(
            f'{root} holds files but no {STAMP_NAME}: it was not made by '
            'make_mini and is left alone; name an empty or a new folder')


def make_mini(root: str | Path,
              seed: int = 0,
              train_clips: int = 176,
              test_clips: int = 80,
              workers: int | None = None,
              progress: bool = True,
              unknown: bool = False) -> Path:
    """Make the mini set, unless the folder holds it already.

    The result depends on ``seed``, the numbers of clips and ``unknown``. It
    appears at once when all is written; a set left unfinished, of another
    recipe or with files missing is made anew. Other files in the folder
    stay. Not to be called for one folder from two processes at a time.

    Args:
        root (str | Path): Data root to fill.
        seed (int): Seed of the set.
        train_clips (int): Training clips per domain, a multiple of 8.
        test_clips (int): Test clips per domain, a multiple of 8.
        workers (int, optional): Number of processes. Default: the cores this
            process may use, at most 8.
        progress (bool): Whether to show a progress bar.
        unknown (bool): Make a set of actions that the mini set does not
            have, for out-of-distribution detection; their ``verb_class`` is
            0 to 3 and means no class. Defaults to False.

    Returns:
        Path: ``root``.

    Raises:
        ValueError: If a number of clips is not a multiple of 8.
        FileExistsError: If the folder holds something else.
    """
    root = Path(root)
    _check(root, train_clips, test_clips)
    wanted = dict(made_by='mbcd_mmaction', recipe_version=RECIPE_VERSION,
                  seed=seed, train_clips=train_clips, test_clips=test_clips,
                  **(dict(unknown=True) if unknown else {}))
    splits = root / SPLITS_DIR
    if _read_stamp(root) == dict(wanted, complete=True, **_measure(splits)):
        return root
    root.mkdir(parents=True, exist_ok=True)
    _write_stamp(root, dict(wanted, complete=False))
    partial = root / _PARTIAL_DIR
    shutil.rmtree(partial, ignore_errors=True)
    plans = _make_plans(seed, dict(train=train_clips, test=test_clips),
                        unknown)
    _write_all(partial, plans, workers or _num_cores(), progress)
    shutil.rmtree(splits, ignore_errors=True)
    os.replace(partial, splits)
    _write_stamp(root, dict(wanted, complete=True, **_measure(splits)))
    return root


def _num_cores() -> int:
    """Cores that this process may use, at most 8."""
    if hasattr(os, 'sched_getaffinity'):
        return min(len(os.sched_getaffinity(0)), 8)
    return min(os.cpu_count() or 1, 8)


def _write_all(folder: Path, plans: dict[str, list[RecordingPlan]],
               workers: int, progress: bool) -> None:
    """Write annotations and media of all recordings below a folder."""
    uid = 0
    for name, recordings in plans.items():
        domain, split = name.split('_')
        for kind in ('video', 'flow', 'audio'):
            Path(folder, kind, split, domain).mkdir(parents=True)
        uid = _write_annotations(folder / f'{name}.csv', recordings, uid)
    tasks = [(plan, str(folder)) for group in plans.values() for plan in group]
    bar = ProgressBar(len(tasks)) if progress else None
    for _ in _run(tasks, workers):
        if bar:
            bar.update()
    if bar:
        bar.file.write('\n')
