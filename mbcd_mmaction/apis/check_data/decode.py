"""Reading of every clip as a training would, in several processes."""
import functools
import importlib
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ...datasets.errors import ClipReadError
from ...datasets.extraction.workers import Died, map_processes
from ...datasets.readers import open_sound
from .findings import Finding
from .listing import Clip, split_leaves
from .rules import segment_of, source_kind

# Clips that a process reads before it reports.
_CHUNK = 8
_SILENCE = 2 / 32768
_HEARD = 10.0  # seconds, of a longer clip
_BUILT: dict[tuple[str, int], Any] = {}


def decode_clips(cfg: Config, clips: Sequence[Clip], workers: int
                 ) -> Iterator[tuple[int, list[Finding]]]:
    """Run the config's own pipelines on all clips.

    Args:
        cfg (Config): The config.
        clips (Sequence[Clip]): Clips of its datasets.
        workers (int): Processes.

    Yields:
        tuple[int, list[Finding]]: a number of clips read, and what was
        found in them: files that cannot be read ('unreadable'), other errors
        ('pipeline'), and sound that is silent ('silent').
    """
    leaves = {(split, number): leaf
              for split in dict.fromkeys(clip.split for clip in clips)
              for number, leaf in enumerate(
                  Config(dict(x=split_leaves(cfg, split))).to_dict()['x'])}
    imports = (cfg.get('custom_imports') or {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    one = functools.partial(_read_chunk, leaves, imports,
                            cfg.get('default_scope') or 'mmaction')
    chunks = []
    for key in leaves:
        own = [clip.index for clip in clips if clip[:2] == key]
        chunks += [(*key, tuple(own[first:first + _CHUNK]))
                   for first in range(0, len(own), _CHUNK)]
    _BUILT.clear()
    for (split, _, numbers), result in map_processes(one, chunks, workers):
        if isinstance(result, Died):
            result = [Finding(
                'pipeline', f'{split} clips {numbers[0]} to {numbers[-1]}',
                'the process that read them died (exit code '
                f'{result.exit_code})', (split, ), len(numbers))]
        yield len(numbers), result


def _read_chunk(leaves: dict[tuple[str, int], dict], imports: Sequence[str],
                scope: str, chunk: tuple[str, int, tuple[int, ...]]
                ) -> list[Finding]:
    """Read some clips of one dataset, which stays open for the next ones."""
    split, number, indices = chunk
    if (split, number) not in _BUILT:
        for name in imports:
            importlib.import_module(name)
        init_default_scope(scope)
        _BUILT[split, number] = DATASETS.build(leaves[split, number])
    dataset = _BUILT[split, number]
    found = []
    for index in indices:
        found += _read(dataset, index, split)
    return found


def _read(dataset: Any, index: int, split: str) -> Iterator[Finding]:
    """Findings of one clip."""
    record = dataset.get_data_info(index)
    clip_id = str(record.get('clip_id', f'{split} {index}'))
    np.random.seed(index)
    try:
        data = dataset.prepare_data(index)
    except ClipReadError as error:
        yield Finding('unreadable', error.path, f'{error.reason} '
                      f'({error.modality} of clip {clip_id})', (split, ))
        return
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        yield Finding('pipeline', clip_id, f'{type(error).__name__}: {error} '
                      f'({last.filename}:{last.lineno})', (split, ))
        return
    sample = data.get('data_samples') if isinstance(data, dict) else None
    if getattr(sample, 'audio_empty', False):
        yield Finding('silent', clip_id, 'nothing of its sound lies within '
                      'the clip', (split, ))
        return
    for source in record.get('sources', {}).values():
        if source is not None and source_kind(source) == 'sound' and (
                _is_silent(source)):
            yield Finding('silent', clip_id, source['filename'], (split, ))


def _is_silent(source: dict[str, Any]) -> bool:
    """Whether what a training hears of a whole clip is silent."""
    start, stop = segment_of(source) or (0., None)
    end = start + _HEARD
    wave = open_sound(source['filename']).read(
        start, end if stop is None else min(stop, end))
    return bool(np.abs(wave).max(initial=0) <= _SILENCE)
