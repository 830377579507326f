"""Random numbers that depend on the epoch and not on what came before."""
import random
from typing import Any

import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed Python, NumPy and PyTorch at the start of each training epoch.

    The seed is made of (the run's seed, epoch, rank). No checkpoint holds
    the state of the random generators, so that without this hook a resumed
    run draws other crops, masks and dropouts than one that was never
    stopped, and a validation in between changes the training after it. With
    it, resuming at the end of an epoch continues exactly, with or without
    a seed of one's own (``diff_rank_seed`` wants one: the sampler's is then
    drawn apart).

    The seeds of loader workers are drawn after it from PyTorch's generator:
    see :func:`mbcd_worker_init`, which they need beside this hook.

    An iteration-based loop has one long epoch: there this seeds its start
    only.
    """
    # Before any other hook that may draw.
    priority = 'VERY_HIGH'
    _drawn: int | None = None

    def before_run(self, runner: Any) -> None:
        """Note the seed that the samplers were given."""
        self._drawn = runner.seed

    def before_train(self, runner: Any) -> None:
        """Give the sampler the seed of the run that is resumed.

        Without ``--seed`` a resumed run draws one, builds its sampler with
        it, and then takes the checkpoint's.
        """
        loader = runner.train_dataloader
        for sampler in (getattr(loader, 'sampler', None), getattr(
                getattr(loader, 'batch_sampler', None), 'sampler', None)):
            drawn = getattr(sampler, 'seed', None)
            if drawn is not None and drawn == self._drawn:
                sampler.seed = runner.seed

    def before_train_epoch(self, runner: Any) -> None:
        """Seed all generators of this process, CUDA's included."""
        state = np.random.SeedSequence(
            [runner.seed, runner.epoch, get_rank()]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        torch.manual_seed(int(state[2]))
