"""One pipeline per modality, run on one record."""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from ..errors import ClipReadError, explain, media_errors

# Findings of one modality's pipeline that the whole sample reports.
_REPORTED = ('audio_empty', )


@TRANSFORMS.register_module()
class MultiModalPipeline(BaseTransform):
    """Read each modality of a record with a pipeline of its own.

    Each pipeline sees the record's common fields and, over them, its own
    entry of ``sources``, as a record of one modality looks in MMAction2; the
    host's transforms serve unchanged. What it leaves under ``audios`` or
    ``imgs`` becomes ``results[modality]``:

    - video: (S, 3, T, H, W) uint8 with S = crops x clips;
    - flow: (S, 2, T, H, W) uint8;
    - audio: (S, 1, F, T) float32.

    Pipelines run in the order in which they are given. They share one dict,
    ``shared``, in which the first that samples frames leaves its window (see
    :class:`SampleWindow`), for sound that follows the frames. Each draws its
    own random window, crop and flip, unless ``aligned``.

    Where the record says which ``modalities`` its dataset was asked for, the
    others' pipelines do not run.

    Args:
        pipelines (Mapping[str, Sequence]): Transforms (configs or
            callables) for each modality.
        on_missing (Mapping[str, Sequence[int]], optional): Shape with S for
            each modality that a record may lack. Such a record gets zeros
            (uint8 for the five axes of frames, else float32) and
            ``modality_mask``, a dict from every modality to whether it is
            there. Defaults to None: a record that lacks one is an error.
        aligned (bool): Whether :class:`SampleWindow` and
            :class:`RandomView` draw once for all modalities: the same
            seconds, the same part of the picture, the same flip. Defaults
            to False, as in the released code.

    Raises:
        ClipReadError: A modality's file is missing, empty or unreadable.
            Other errors, mistakes in a program or config, pass unchanged.
        ValueError: No pipelines; ``on_missing`` names an unknown modality;
            a record asks for a modality without a pipeline, or lacks one
            that ``on_missing`` does not name; a pipeline leaves neither
            ``imgs`` nor ``audios``.
    """

    def __init__(
            self,
            pipelines: Mapping[str, Sequence[dict | Callable]],
            on_missing: Mapping[str, Sequence[int]] | None = None,
            aligned: bool = False) -> None:
        self.aligned = aligned
        self.on_missing = {
            name: tuple(shape)
            for name, shape in (on_missing or {}).items()
        }
        unknown = sorted(set(self.on_missing) - set(pipelines))
        if not pipelines or unknown:
            raise ValueError(
                'expected pipelines for at least one modality, and '
                f'on_missing for some of them; got pipelines for '
                f'{list(pipelines)}, on_missing for {list(self.on_missing)}')
        self.pipelines = {
            name: Compose([
                TRANSFORMS.build(step) if isinstance(step, dict) else step
                for step in steps
            ])
            for name, steps in pipelines.items()
        }

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add one array per modality; the record's fields stay."""
        sources = results['sources']
        common = {
            key: value
            for key, value in results.items() if key != 'sources'
        }
        common.update(shared={}, aligned=self.aligned)
        names = self._wanted(results)
        absent = []
        for name in names:
            if sources.get(name) is None:
                results[name] = self._zeros(name, results)
                absent.append(name)
                continue
            one = self._read(name, {**common, **sources[name]})
            if one is None:
                return None
            results[name] = _array(name, one)
            results.update({k: one[k] for k in _REPORTED if k in one})
        if absent:
            results['modality_mask'] = {
                name: name not in absent
                for name in names
            }
        return results

    def _wanted(self, results: dict[str, Any]) -> list[str]:
        """The modalities to read, in the order of the pipelines."""
        wanted = results.get('modalities', list(self.pipelines))
        unknown = [name for name in wanted if name not in self.pipelines]
        if unknown:
            raise ValueError(
                f'the dataset gives the modalities {unknown}, for which '
                'there is no pipeline: expected some of '
                f'{list(self.pipelines)}')
        return [name for name in self.pipelines if name in wanted]

    def _read(self, name: str, one: dict[str, Any]) -> dict[str, Any] | None:
        """Run one pipeline; bad files become :class:`ClipReadError`."""
        files = one.get('filename', ())
        files = (files, ) if isinstance(files, str) else tuple(files)
        clip_id = one.get('clip_id', '')
        try:
            return self.pipelines[name](one)
        except (ClipReadError, NotImplementedError):
            raise
        except media_errors() as error:
            path, reason = explain(error, files)
            raise ClipReadError(name, path, reason, clip_id) from error

    def _zeros(self, name: str, results: dict[str, Any]) -> np.ndarray:
        """The stand-in of a modality that the record lacks."""
        if name not in self.on_missing:
            raise ValueError(
                f'clip {results.get("clip_id", "")}: no source for the '
                f'modality {name!r}, its sources are '
                f'{sorted(results["sources"])}. Expected one, or a shape '
                f'under on_missing={{{name!r}: ...}}')
        shape = self.on_missing[name]
        return np.zeros(shape, np.uint8 if len(shape) == 5 else np.float32)

    def __repr__(self) -> str:
        inner = ', '.join(f'{k}={v!r}' for k, v in self.pipelines.items())
        return (f'{self.__class__.__name__}({inner}, '
                f'on_missing={self.on_missing}, aligned={self.aligned})')


def _array(name: str, one: dict[str, Any]) -> np.ndarray:
    """The array that a pipeline leaves, in one piece of memory."""
    for key in ('audios', 'imgs'):
        if key in one:
            # FormatShape only permutes axes: copy here, in the worker,
            # rather than where batches are collated.
            return _in_one_piece(one[key])
    raise ValueError(f'the pipeline of {name!r} left neither imgs nor audios; '
                     f'it left {sorted(one)}')


def _in_one_piece(array: np.ndarray) -> np.ndarray:
    """The same values, row by row in memory.

    Frames (S, C, T, H, W) that lie as pictures are taken apart by OpenCV,
    which is several times as fast as NumPy.
    """
    array = np.asarray(array)
    if array.ndim != 5 or array.dtype != np.uint8 or (
            array.flags.c_contiguous or not 2 <= array.shape[1] <= 4
            or array.size == 0):
        return np.ascontiguousarray(array)
    out = np.empty(array.shape, np.uint8)
    for view, planes in zip(array, out, strict=True):
        for time in range(view.shape[1]):
            cv2.split(view[:, time].transpose(1, 2, 0),
                      list(planes[:, time]))
    return out
