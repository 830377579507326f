"""What the sets share: words from a list, and folders that must be there."""
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

MODALITIES = ('video', 'flow', 'audio')


class Place(NamedTuple):
    """A folder in which the media of a set may be.

    Attributes:
        layout (str): Name of the layout that they would have there.
        folder (str): The folder, absolute.
        absent (list[str]): What of them is not there, in words.
    """
    layout: str
    folder: str
    absent: list[str]


def as_list(value: str | Sequence[str]) -> list[str]:
    """One word, or several, as a list."""
    return [value] if isinstance(value, str) else list(value)


def choose(name: str, values: str | Sequence[str],
           known: Iterable[str]) -> list[str]:
    """Check a choice of known words, each at most once, at least one.

    Args:
        name (str): What is chosen, for the error.
        values (str | Sequence[str]): The choice.
        known (Iterable[str]): What there is.

    Returns:
        list[str]: The choice.

    Raises:
        ValueError: A word is unknown or repeated, or there is none.
    """
    values = as_list(values)
    unknown = [value for value in values if value not in known]
    if unknown or not values or len(set(values)) != len(values):
        raise ValueError(f'{name}: expected some of {list(known)}, each once, '
                         f'got {values}')
    return values


def find_root(data_root: str, inner: str) -> str | None:
    """The folder ``inner`` in ``data_root``, or else that itself.

    Args:
        data_root (str): What a config names.
        inner (str): Name of the folder that holds the annotations.

    Returns:
        str, optional: The first of both that exists; None for neither.
    """
    for folder in (os.path.join(data_root, inner), data_root):
        if os.path.isdir(folder):
            return folder
    return None


def basename(folder: str) -> str:
    """Name of a folder, with or without a slash at the end."""
    return os.path.basename(os.path.normpath(folder))


def missing(name: str, what: str, layout: str,
            hint: str | None = None) -> str:
    """Text of the error for a part of a set that is not there.

    Args:
        name (str): The set.
        what (str): What was looked for, with its absolute path.
        layout (str): Where the parts of the set should be, a sentence
            without its full stop.
        hint (str, optional): A command that makes the set. Defaults to None.
    """
    how = f'Make it with: {hint}. ' if hint else ''
    return (f'{name}: expected {what}, which does not exist. {layout}. {how}'
            'docs/data_preparation.md tells how to get it')


def pick_place(name: str, places: Sequence[Place],
               text: Callable[[str], str]) -> Place:
    """The place in which the media are.

    Args:
        name (str): The set.
        places (Sequence[Place]): Where to look; the first of equal layout is
            taken where several are complete.
        text (Callable): Makes the error's text of what was looked for.

    Returns:
        Place: The complete one.

    Raises:
        FileNotFoundError: None is complete. Named is what is missing where
            most is there.
        ValueError: Several layouts are complete.
    """
    found: dict[str, Place] = {}
    for place in places:
        if not place.absent:
            found.setdefault(place.layout, place)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        several = ' and '.join(f'{layout!r} in {place.folder}'
                               for layout, place in found.items())
        options = ' or '.join(f'layout={layout!r}' for layout in found)
        raise ValueError(f'{name}: found two layouts, {several}: say which '
                         f'by {options}')
    least = min(len(place.absent) for place in places)
    nearest: dict[str, str] = {}
    for place in places:
        if len(place.absent) == least:
            nearest.setdefault(place.layout, place.absent[0])
    raise FileNotFoundError(text(' or '.join(
        f'{part} (layout={layout!r})' for layout, part in nearest.items())))


def absent_folders(
        folders: Iterable[tuple[str, str, str]]) -> list[str]:
    """Say which folders of (domain, modality, path) are not there."""
    return [f"the folder of {domain}'s {modality} files, {folder}"
            for domain, modality, folder in folders
            if not os.path.isdir(folder)]
