"""Subsets of modalities, each predicting without the others."""
from collections.abc import Sequence
from itertools import combinations

__all__ = ['subset_name', 'subsets']


def subsets(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """The 2^M - 1 subsets that are not empty, the single ones first.

    Args:
        modalities (Sequence[str]): M names.
    """
    return [subset for size in range(1, len(modalities) + 1)
            for subset in combinations(modalities, size)]


def subset_name(subset: Sequence[str]) -> str:
    """'video + audio'."""
    return ' + '.join(subset)
