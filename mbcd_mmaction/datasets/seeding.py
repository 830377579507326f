"""Random numbers of the data loader's workers."""
import random

import numpy as np
import torch
from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module()
def mbcd_worker_init(worker_id: int) -> None:
    """Seed a loader worker's random, numpy and torch anew in every epoch.

    MMEngine's default seeds each worker with user seed + worker number.
    Workers that are started anew each epoch then repeat the same crops,
    flips and offsets in every epoch. Workers that persist go on drawing
    instead, but their state is in no checkpoint, so that a resumed run
    cannot repeat an uninterrupted one.

    This function takes PyTorch's own seed of the worker, which the main
    process draws when it starts an epoch's workers, and which
    :class:`EpochSeedHook` makes a function of (seed, epoch, rank): epochs
    differ, and a run resumed between epochs sees the same samples as one
    that was never stopped. Use it with ``persistent_workers=False``::

        train_dataloader = dict(
            worker_init_fn=dict(type='mbcd_worker_init'), ...)

    Args:
        worker_id (int): Number of the worker; PyTorch has already added it
            to the seed.
    """
    del worker_id
    state = np.random.SeedSequence(torch.initial_seed()).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))
