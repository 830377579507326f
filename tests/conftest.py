"""Fixtures shared by all tests."""
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from mbcd_mmaction.datasets.mini import make_mini

torch.set_num_threads(1)
# The background jobs of a shell ignore it, and so would the tools that tests
# stop by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def one_seed() -> None:
    """Each test draws the same numbers, alone or among others."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def one_scope() -> Iterator[None]:
    """A Runner leaves its default scope behind, which later tests' models
    would be looked up in."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(scope='session')
def mini_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small mini set, shared by all tests: read it, do not change it."""
    return make_mini(tmp_path_factory.mktemp('data') / 'mini', seed=0,
                     train_clips=16, test_clips=8, workers=1, progress=False)
