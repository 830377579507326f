"""Clips in the order of the cache, each view with draws of its own."""
import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ...datasets import ClipReadError, MultiModalDataset


class ViewRows(Dataset):
    """Samples of a dataset by their row in the cache.

    What a row holds depends on seed, view and clip alone: not on the other
    rows, on workers or on where a stopped run went on.

    Args:
        dataset (MultiModalDataset): The dataset.
        order (np.ndarray): Its indices by ascending key.
        keys (np.ndarray): Keys by its indices.
        views (int): Rows of each clip.
        seed (int): What the views are drawn from.
        start (int): The first row. Defaults to 0.
    """

    def __init__(self, dataset: MultiModalDataset, order: np.ndarray,
                 keys: np.ndarray, views: int, seed: int,
                 start: int = 0) -> None:
        self.dataset = dataset
        self.order = order
        self.keys = keys
        self.views = views
        self.seed = seed
        self.start = start

    def __len__(self) -> int:
        return len(self.order) * self.views - self.start

    def __getitem__(self, number: int) -> dict[str, Any] | ClipReadError:
        """A sample, or why it could not be read.

        Raises:
            ClipReadError: The same, where the dataset's ``on_error`` is
                'raise'.
        """
        clip, view = divmod(self.start + number, self.views)
        index = int(self.order[clip])
        state = np.random.SeedSequence(
            [self.seed, view, int(self.keys[index])]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        torch.manual_seed(int(state[2]))
        try:
            return self.dataset.prepare_data(index)
        except ClipReadError as error:
            if self.dataset.on_error == 'raise':
                raise
            return error

    def first(self) -> tuple[dict[str, Any], int]:
        """The first sample that can be read, and its clip's index.

        Raises:
            ClipReadError: None can.
        """
        for clip, index in enumerate(self.order):
            item = self[clip * self.views]
            if not isinstance(item, ClipReadError):
                return item, int(index)
        raise item
