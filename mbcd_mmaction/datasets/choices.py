"""What the sets share: words from a list, and folders that must be there."""
import os
from collections.abc import Iterable, Sequence

MODALITIES = ('video', 'flow', 'audio')


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
