"""What a manifest leaves to be computed, and its computation."""
import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..derived import audio_path, flow_paths, places
from ..manifest_file import read_manifest, segment_of
from .flow import BOUND, STEPS, flow_method, write_flow
from .jobs import Job, Report, run_jobs
from .outputs import publish, temporary_names, withdraw
from .sound import write_sound_track


def extract_flow(manifest: str,
                 data_root: str | None = None,
                 cache: str | None = None,
                 method: str = 'dis',
                 step: int = 1,
                 short_side: int = 256,
                 overwrite: bool = False,
                 **options: Any) -> Report:
    """Compute the flow of each clip that the manifest gives none for.

    Args:
        manifest (str): A manifest, CSV or JSON Lines.
        data_root (str, optional): See :func:`places`.
        cache (str, optional): See :func:`places`; flow lies in its folder
            ``flow``.
        method (str): See :func:`write_flow`, like the next two.
        step (int): Defaults to 1.
        short_side (int): Pixels. Defaults to 256.
        overwrite (bool): Also redo what is done. Defaults to False.
        **options: See :func:`run_jobs`: ``workers``, ``progress``.

    Returns:
        Report: What became of the clips.

    Raises:
        ValueError: An argument out of range, a mistake in the manifest, or
            a cache made with other settings: always where ``overwrite`` is
            not set, with it where the cache holds other clips' flow too.
        FileNotFoundError: There is no manifest.
        FolderInUse, OSError: See :func:`run_jobs`.
    """
    if step not in STEPS or short_side < 0:
        raise ValueError(f'expected a step of {STEPS} and a short side of 0 '
                         f'(as it is) or more, got {step} and {short_side}')
    flow_method(method)
    root, cache = places(manifest, data_root, cache)
    settings = dict(method=method, step=step, short_side=short_side)
    jobs = {}
    for row in read_manifest(manifest, data_root=root):
        if row['flow_x'] is not None:
            continue
        segment = segment_of(row)
        outputs = flow_paths(cache, root, row['video'], segment)
        # One clip may stand in several rows, with several labels.
        jobs[outputs] = Job(
            _name(root, row['video'], segment), (row['video'], ), outputs,
            dict(video=row['video'], segment=segment, **settings))
    folder, todo = Path(cache, 'flow'), list(jobs.values())
    return run_jobs(
        write_flow, todo, folder, overwrite=overwrite,
        begin=functools.partial(_use_settings, folder,
                                dict(settings, bound=BOUND), todo, overwrite),
        **options)


def extract_audio(manifest: str,
                  data_root: str | None = None,
                  cache: str | None = None,
                  silence_ok: bool = False,
                  **options: Any) -> Report:
    """Write the sound of each video that the manifest gives no audio for.

    Args:
        manifest (str): A manifest, CSV or JSON Lines.
        data_root (str, optional): See :func:`places`.
        cache (str, optional): See :func:`places`; sound lies in its folder
            ``audio``.
        silence_ok (bool): Whether a video without sound gives silence
            instead of a failure. Defaults to False.
        **options: See :func:`run_jobs`: ``workers``, ``overwrite``,
            ``progress``.

    Returns:
        Report: What became of the videos.

    Raises:
        ValueError, FileNotFoundError, FolderInUse, OSError: See
            :func:`extract_flow`.
    """
    root, cache = places(manifest, data_root, cache)
    jobs = {}
    for row in read_manifest(manifest, data_root=root):
        if row['audio'] is None:
            video = row['video']
            jobs[video] = Job(
                _name(root, video, None), (video, ),
                (audio_path(cache, root, video), ),
                dict(video=video, silence_ok=silence_ok))
    return run_jobs(write_sound_track, list(jobs.values()),
                    Path(cache, 'audio'), **options)


def _name(root: str, video: str, segment: tuple | None) -> str:
    """What reports call a clip."""
    name = os.path.relpath(video, root)
    if segment is None:
        return name
    start, stop = segment
    return f'{name} {start:g}-{"end" if stop is None else f"{stop:g}"} s'


def _use_settings(folder: Path, settings: dict[str, Any],
                  jobs: Sequence[Job], overwrite: bool) -> None:
    """Keep the flow of one cache alike: compare the settings, or note them.

    Called while no other run can work in the folder.
    """
    note = folder / 'settings.json'
    there = json.loads(note.read_text(encoding='utf-8')) if (
        note.is_file()) else None
    if there == settings:
        return
    if there is not None:
        begun = (f'{folder} was begun with {there}, this run is asked for '
                 f'{settings}; flow of one set must be alike: ')
        if not overwrite:
            raise ValueError(f'{begun}give the same options, another '
                             '--cache, or --overwrite')
        own = {os.path.abspath(job.outputs[0]) for job in jobs}
        others = sorted(
            str(path) for path in folder.rglob('*_x.mp4')
            if os.path.abspath(path) not in own)
        if others:
            raise ValueError(
                f'{begun}--overwrite redoes the clips of this manifest, and '
                f'{others[0]} ({len(others)} such files) is of none of them: '
                'give another --cache, or remove what is no longer used')
        # Before the note: killed in between, none is taken for new.
        for job in jobs:
            withdraw(job.outputs)
    new = temporary_names([str(note)])
    Path(new[0]).write_text(json.dumps(settings) + '\n', encoding='utf-8')
    publish(new, [str(note)])
