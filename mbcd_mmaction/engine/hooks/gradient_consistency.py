"""Eq. 5-6 in time: when the step looks ahead."""
from collections.abc import Sequence
from functools import partial

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner

from ...models.objectives import refuse_objective
from ...models.recognizer import MultiModalRecognizer
from ...models.slots import LookAhead, check_no_reentrant_checkpoint
from ..adapters import LossTap, NamedLossConsistency
from ..optim_wrappers import CPUAmpOptimWrapper

__all__ = ['GradientConsistencyHook']


@HOOKS.register_module()
class GradientConsistencyHook(Hook):
    """Make each modality's step agree with the fused one.

    While it is active, the recognizer takes the fused loss at theta' =
    theta - inner_lr * grad L_k (Eq. 5), or adds Eq. 6's penalty. A
    ``MultiModalRecognizer`` knows its modalities; of any other model name
    the losses, as it returns them, that are to agree.

    Args:
        inner_lr (float): Size of the inner step; 0 switches the hook off.
            Defaults to 1e-4.
        order (str): 'first', 'second', 'penalty' or 'cosine', see
            :class:`~mbcd_mmaction.models.slots.LookAhead`. Defaults to
            'first'.
        inner_losses (Sequence[str]): Of another model, the losses along
            which the inner step goes. Defaults to ().
        outer_losses (Sequence[str]): Of another model, the losses that are
            taken at theta'. Defaults to ().
        params (str): Of another model, a regular expression that is searched
            in the names of its trainable parameters: theta. Defaults to
            '^backbone'.
        start_epoch (int): First epoch that looks ahead, counted from 0.
            Defaults to 0.
        end_epoch (int, optional): First epoch that no longer does. Defaults
            to None: to the end.
        every (int): Look ahead on every ``every``-th training iteration
            alone, counted from the first of the run (a resumed run counts
            on); the others are steps without the hook. Defaults to 1: on
            all.
        sync_inner_grad (bool): Average the inner gradient over processes.
            Defaults to True.
    """

    def __init__(self,
                 inner_lr: float = 1e-4,
                 order: str = 'first',
                 start_epoch: int = 0,
                 end_epoch: int | None = None,
                 sync_inner_grad: bool = True,
                 inner_losses: Sequence[str] = (),
                 outer_losses: Sequence[str] = (),
                 params: str = '^backbone',
                 every: int = 1) -> None:
        if inner_lr < 0:
            raise ValueError(f'inner_lr must be >= 0, got {inner_lr}')
        if start_epoch < 0 or (end_epoch is not None
                               and end_epoch <= start_epoch):
            raise ValueError('expected 0 <= start_epoch < end_epoch, got '
                             f'{start_epoch} and {end_epoch}')
        self.start_epoch = start_epoch
        self.end_epoch = end_epoch
        self.every = check_every('every', every)
        self.slot = LookAhead(inner_lr, order,
                              sync_inner_grad) if inner_lr > 0 else None
        self.named = dict(inner_losses=inner_losses,
                          outer_losses=outer_losses, params=params)
        self.foreign: NamedLossConsistency | None = None

    def before_run(self, runner: Runner) -> None:
        """Forget what a training that failed left on the model."""
        LossTap.of(unwrap(runner.model)).clear()

    def before_train(self, runner: Runner) -> None:
        """Check the model once; fail before the first step."""
        if self.slot is None:
            return
        check_counts_epochs(runner, self.start_epoch, self.end_epoch)
        model = unwrap(runner.model)
        # as it will be in the first step: stock models freeze stages here
        model.train()
        check_no_reentrant_checkpoint(
            model, runner.cfg.get('activation_checkpointing'))
        if self.slot.order != 'first':
            _check_second_derivatives(runner, self.slot.order)
        # of the wrapper alone: a Runner would keep its model alive
        self.slot.loss_scale = partial(_loss_scale, runner.optim_wrapper)
        if not isinstance(model, MultiModalRecognizer):
            self.foreign = NamedLossConsistency(model, self.slot,
                                                **self.named)
            forget_compiled_code(runner)
            return
        refuse_objective(model)
        if model.unimodal_loss_weight == 0:
            raise ValueError(
                'GradientConsistencyHook looks ahead on the uni-modal '
                'losses: set unimodal_loss_weight > 0 in the model')

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Switch on or off for this step."""
        if self.slot is None:
            return
        started = runner.epoch >= self.start_epoch
        ended = self.end_epoch is not None and runner.epoch >= self.end_epoch
        active = started and not ended and runner.iter % self.every == 0
        if self.foreign is not None:
            self.foreign.active = active
        else:
            unwrap(runner.model).lookahead = self.slot if active else None

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: DATA_BATCH = None,
                         outputs: dict | None = None) -> None:
        """Refuse a model whose losses are never seen."""
        if self.foreign is not None:
            self.foreign.check_asked()

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was found."""
        if self.foreign is not None:
            self.foreign.detach()
            self.foreign = None
            forget_compiled_code(runner)
        elif self.slot is not None:
            unwrap(runner.model).lookahead = None


def unwrap(model):
    """The recognizer itself, out of a DDP wrapper."""
    return model.module if is_model_wrapper(model) else model


def check_every(name: str, every: int) -> int:
    """A number of steps, or a clear refusal.

    Args:
        name (str): What the config calls it.
        every (int): The number, >= 1.

    Raises:
        ValueError: It is no whole number of 1 or more.
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f'{name} must be a whole number of steps >= 1, got '
                         f'{every!r}')
    return every


def check_counts_epochs(runner: Runner, *epochs: int | None) -> None:
    """Refuse epochs that never come.

    Args:
        runner (Runner): At the start of its training.
        *epochs (int, optional): Numbers of epochs that are waited for.

    Raises:
        ValueError: One is after the first, and the loop is one of steps.
    """
    loop = getattr(runner, 'train_loop', None)
    if isinstance(loop, IterBasedTrainLoop) and any(epochs):
        raise ValueError(
            'expected start_epoch=0 and no end_epoch under '
            f'{type(loop).__name__}, whose epoch is 0 throughout; got '
            f'{[e for e in epochs if e]}. Train with EpochBasedTrainLoop')


def is_compiled(runner: Runner) -> bool:
    """Whether the config has MMEngine compile the training step."""
    return runner.cfg.get('compile') not in (None, False)


def forget_compiled_code(runner: Runner) -> None:
    """Have the step compiled anew, with the forward hooks that are there.

    ``torch.compile`` does not look at a module's hooks when it reuses code:
    that of an earlier training in this process, without them or with others,
    would train on in silence.
    """
    if is_compiled(runner):
        torch.compiler.reset()


def _check_second_derivatives(runner: Runner, order: str) -> None:
    """Refuse what PyTorch cannot differentiate twice."""
    if is_compiled(runner):
        raise ValueError(
            f'order={order!r} differentiates twice, which compiled code '
            "cannot (torch.compile with aot_autograd): use order='first' or "
            'leave `compile` out of the config')
    if isinstance(runner.optim_wrapper, CPUAmpOptimWrapper):
        raise ValueError(
            f'order={order!r} differentiates twice, and in bfloat16 on the '
            "CPU PyTorch's second derivative of a 3D convolution holds "
            "random numbers and nan: use order='first', or train in float32 "
            'or on a GPU')


def _loss_scale(optim_wrapper: OptimWrapper) -> float:
    """The AMP scaler's factor, 1 without one."""
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    return float(scaler.get_scale()) if scaler is not None else 1.0
