"""Which frames of a clip are read: a window, in frames and in seconds."""
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmaction.datasets.transforms import SampleFrames
from mmaction.registry import TRANSFORMS

# Containers round time stamps to a millisecond at worst.
_TICK = 1e-3


@dataclass(frozen=True)
class Timeline:
    """The windows of one sample, in time since the clip's first frame.

    A part of a video may begin between two frames, or where none is shown for
    a while; each modality's first frame belongs to the others' all the same.

    Attributes:
        starts (np.ndarray): (S,) float64, seconds at which each window
            begins.
        lengths (np.ndarray): (S,) float64, seconds; a window may reach
            beyond the clip's end.
        duration (float): Seconds after which the clip begins anew.
    """
    starts: np.ndarray
    lengths: np.ndarray
    duration: float

    def times(self, count: int, loop: bool = True) -> np.ndarray:
        """Evenly spaced points of each window.

        Args:
            count (int): Points of a window, the first at its start.
            loop (bool): Whether points beyond the clip's end wrap round, as
                frame numbers do, or stay at its end.

        Returns:
            np.ndarray: (S, count) float64, seconds in [0, duration].
        """
        steps = np.arange(count) / count
        points = self.starts[:, None] + self.lengths[:, None] * steps
        if not loop:
            return np.minimum(points, self.duration)
        # A point that rounding puts just before the end is the start.
        points = np.mod(points, self.duration)
        points[points > self.duration - _TICK / 2] = 0
        return points


@TRANSFORMS.register_module()
class SampleWindow(SampleFrames):
    """The host's ``SampleFrames``, which also tells where its window lies.

    Required keys: ``total_frames`` and ``start_index``; ``frame_times``
    ((total_frames,) seconds since the clip's start) or, where frames are
    evenly spaced, ``avg_fps``. Added keys: ``frame_inds`` (S * clip_len,),
    ``clip_len``, ``frame_interval``, ``num_clips`` (S).

    In a :class:`MultiModalPipeline` the first modality that samples leaves
    in ``shared``:

    - ``window``, (S, 2): seconds from the first to the end of the last
      frame of each clip, by the smallest and the largest frame number; a
      window that wraps round covers the whole clip;
    - ``timeline``, a :class:`Timeline`.

    With ``aligned=True`` the others take ``clip_len`` frames, evenly spaced,
    from the same windows, whatever their own rate: 8 flow frames of half the
    rate are every 4th within 32 RGB frames of interval 2. Their
    ``frame_interval`` is then not used.

    Args:
        clip_len (int): Frames of a clip.
        frame_interval (int): Frames from one to the next. Defaults to 1.
        num_clips (int): Clips S. Defaults to 1.
        **kwargs: As in the host: ``test_mode`` (centre instead of random),
            ``out_of_bound_opt``, ``temporal_jitter`` ...

    Raises:
        ValueError: No frames, or neither ``frame_times`` nor ``avg_fps``;
            aligned modalities differ in ``num_clips``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Choose frames; lead or follow."""
        total = results['total_frames']
        if total < 1:
            raise ValueError('expected a clip of at least one frame, got '
                             f'total_frames={total}')
        shared = results.setdefault('shared', {})
        times = _frame_times(results)
        if results.get('aligned') and 'timeline' in shared:
            return self._follow(results, shared['timeline'], times)
        results = super().transform(results)
        indices = (results['frame_inds'] - results['start_index']).reshape(
            -1, self.clip_len)
        period = _period(times, results)
        first, last = times[indices.min(1)], times[indices.max(1)]
        shared.setdefault('window', np.stack([first, last + period], 1))
        shared.setdefault('timeline', self._timeline(indices, times, period))
        return results

    def _timeline(self, indices: np.ndarray, times: np.ndarray,
                  period: float) -> Timeline:
        """The windows of (S, clip_len) frame numbers, not wrapped."""
        step = self.frame_interval * period
        first, last = indices[:, 0], indices[:, -1]
        reach = first + (self.clip_len - 1) * self.frame_interval
        inside = times[last] - times[first] + step
        return Timeline(
            starts=times[first] - times[0],
            lengths=np.where(reach < len(times), inside, self.clip_len * step),
            duration=times[-1] - times[0] + period)

    def _follow(self, results: dict[str, Any], timeline: Timeline,
                times: np.ndarray) -> dict[str, Any]:
        """Take the frames that are shown at the leader's window."""
        clips = len(timeline.starts)
        own = self.num_clips * (2 if self.twice_sample else 1)
        if clips != own:
            raise ValueError(
                f'aligned modalities need the same num_clips: expected '
                f'{clips}, as in the first pipeline, got {own} for '
                f'{results["modality"]}')
        points = timeline.times(self.clip_len, self.out_of_bound_opt == 'loop')
        # The last frame shown not after each point. Flow has a frame less
        # than the video: its last one stays.
        indices = np.searchsorted(
            times - times[0], points + _TICK, side='right') - 1
        indices = np.clip(indices, 0, len(times) - 1)
        results['frame_inds'] = (indices.reshape(-1) +
                                 results['start_index']).astype(np.int32)
        results['clip_len'] = self.clip_len
        results['frame_interval'] = self.frame_interval
        results['num_clips'] = self.num_clips
        return results


def _frame_times(results: dict[str, Any]) -> np.ndarray:
    """(total_frames,) float64: when each frame is shown, seconds."""
    times = results.get('frame_times')
    if times is not None:
        return np.asarray(times, np.float64)[:results['total_frames']]
    if not results.get('avg_fps'):
        raise ValueError('expected frame_times (seconds) or avg_fps from the '
                         'transform that opens the clip, see ClipInit; got '
                         f'{sorted(results)}')
    return np.arange(results['total_frames']) / results['avg_fps']


def _period(times: np.ndarray, results: dict[str, Any]) -> float:
    """Mean seconds from one frame to the next."""
    if len(times) > 1:
        return float(times[-1] - times[0]) / (len(times) - 1)
    return 1 / (results.get('avg_fps') or 25.0)
