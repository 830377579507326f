"""What the records of all sets have in common, and where they say so."""
from collections.abc import Sequence
from typing import Any


def picture_source(modality: str, filename: str | tuple[str, str],
                   **where: Any) -> dict[str, Any]:
    """Where the frames of a clip are, for :class:`ClipInit`.

    Args:
        modality (str): As the host calls it: 'RGB' or 'Flow'.
        filename (str | tuple[str, str]): A video file or a folder of images;
            for flow the pair of x (or u) and y (or v).
        **where: For a file its ``segment``, (start, stop) in seconds within
            it, unless all of it is the clip; for a folder ``template``,
            ``first``, ``total_frames`` and ``fps``.

    Returns:
        dict: An entry of a record's ``sources``.
    """
    if 'template' not in where:
        where = dict(where, start_index=0)
    return dict(filename=filename, modality=modality, **where)


def sound_source(
        filename: str,
        segment: tuple[float, float | None] | None) -> dict[str, Any]:
    """Where the sound of a clip is, for :class:`LoadAudioClip`.

    Args:
        filename (str): A sound file, or a video with a sound track.
        segment (tuple, optional): Start and stop (None: the end) of the clip
            in seconds within the file; None for all of it.

    Returns:
        dict: An entry of a record's ``sources``.
    """
    return dict(filename=filename, modality='Audio', segment=segment)


def make_record(*, label: int, domain: str, split: str, clip_id: str,
                video_id: str, sources: dict[str, dict[str, Any]],
                modalities: Sequence[str], start: float | None = None,
                stop: float | None = None) -> dict[str, Any]:
    """One record of a :class:`MultiModalDataset`.

    Args:
        label (int): The class.
        domain, split (str): Where the clip belongs.
        clip_id (str): A name that no other clip of any domain has.
        video_id (str): The recording.
        sources (dict): For each modality where it is; those that are not
            asked for are left out.
        modalities (Sequence[str]): Those that are asked for.
        start, stop (float, optional): Seconds in the recording. Default to
            None: all of it.

    Returns:
        dict: The record.
    """
    return dict(
        label=label,
        domain=domain,
        split=split,
        clip_id=clip_id,
        video_id=video_id,
        start=start,
        stop=stop,
        modalities=list(modalities),
        sources={name: sources[name] for name in modalities})


def number_repeats(
        records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with unique names: the second of one ends in ``#2``.

    One stretch of a recording may be listed with several labels, or twice.

    Args:
        records (Sequence[dict]): Records.

    Returns:
        list[dict]: The same, but for their ``clip_id``.
    """
    unique = UniqueNames()
    numbered = []
    for record in records:
        name = record['clip_id']
        clip_id = unique(name)
        numbered.append(record if clip_id == name else dict(
            record, clip_id=clip_id))
    return numbered


class UniqueNames:
    """Numbers names that come again, one name a call."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._latest: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        """The name if it is new, else with the first free number after it."""
        unique = name
        while unique in self._known:
            self._latest[name] = self._latest.get(name, 1) + 1
            unique = f'{name}#{self._latest[name]}'
        self._known.add(unique)
        return unique
