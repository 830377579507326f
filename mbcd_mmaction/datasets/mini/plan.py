"""Plan of the mini set: recordings, their clips, and random numbers."""
from dataclasses import dataclass

import numpy as np

from .recipe import (
    CLASSES,
    CLIP_SECONDS,
    CLIPS_PER_RECORDING,
    DOMAINS,
    GAP_SECONDS,
    SPLITS,
    UNKNOWN,
)


@dataclass(frozen=True)
class ClipPlan:
    """One labelled clip of a recording; frames count from the start of it.

    Args:
        label (int): Index into :data:`ACTIONS`.
        start_frame (int): First frame.
        stop_frame (int): Frame after the last.
    """
    label: int
    start_frame: int
    stop_frame: int

    @property
    def verb_class(self) -> int:
        """int: What stands in the files; unknown actions count from 0."""
        return self.label % len(CLASSES)

    @property
    def num_frames(self) -> int:
        """int: Number of frames."""
        return self.stop_frame - self.start_frame

    @property
    def flow_start(self) -> int:
        """int: First flow field; flow runs at half the frame rate."""
        return -(-self.start_frame // 2)

    @property
    def num_flows(self) -> int:
        """int: Number of flow fields."""
        return self.num_frames // 2


@dataclass(frozen=True)
class RecordingPlan:
    """One recording: clips after one another, with gaps.

    Args:
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        index (int): Number of the recording within domain and split.
        video_id (str): EPIC name, e.g. 'P08_01'; unique over the splits.
        clips (tuple[ClipPlan]): Clips in order of time.
        num_frames (int): Length of the recording.
        seed (int): Seed of the set.
    """
    domain: str
    split: str
    index: int
    video_id: str
    clips: tuple[ClipPlan, ...]
    num_frames: int
    seed: int

    @property
    def frame_rate(self) -> int:
        """int: Frames per second."""
        return DOMAINS[self.domain].camera.frame_rate

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers that depend on nothing but the place in the set.

        Args:
            *key (int): What they are for, e.g. modality and clip.
        """
        return _generator(self.seed, self.domain, self.split, self.index + 1,
                          *key)


def _generator(seed: int, domain: str, split: str,
               *key: int) -> np.random.Generator:
    place = (list(DOMAINS).index(domain), SPLITS.index(split))
    return np.random.default_rng([seed, *place, *key])


def plan_split(seed: int, domain: str, split: str, num_clips: int,
               first_number: int,
               unknown: bool = False) -> list[RecordingPlan]:
    """Lay out the recordings of one split of one domain.

    Args:
        seed (int): Seed of the set.
        domain (str): 'D1', 'D2' or 'D3'.
        split (str): 'train' or 'test'.
        num_clips (int): Number of clips, a multiple of eight; classes are
            balanced.
        first_number (int): Number in the first ``video_id``.
        unknown (bool): Whether the actions are those of :data:`UNKNOWN`.

    Returns:
        list[RecordingPlan]: Recordings of eight clips each.
    """
    rng = _generator(seed, domain, split, 0)
    first_label, kinds = (len(CLASSES), len(UNKNOWN)) if unknown else (
        0, len(CLASSES))
    labels = first_label + rng.permutation(np.arange(num_clips) % kinds)
    rate = DOMAINS[domain].camera.frame_rate
    plans = []
    for index in range(num_clips // CLIPS_PER_RECORDING):
        clips, frame = [], 0
        first = index * CLIPS_PER_RECORDING
        for label in labels[first:first + CLIPS_PER_RECORDING]:
            frame += max(1, round(rng.uniform(*GAP_SECONDS) * rate))
            stop = frame + round(rng.uniform(*CLIP_SECONDS) * rate)
            clips.append(ClipPlan(int(label), frame, stop))
            frame = stop
        video_id = f'{DOMAINS[domain].participant}_{first_number + index:02d}'
        plans.append(
            RecordingPlan(domain, split, index, video_id, tuple(clips),
                          frame + 2, seed))
    return plans
