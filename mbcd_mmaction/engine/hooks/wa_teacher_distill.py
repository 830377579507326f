"""Eq. 7-9 in time: average after each optimizer step, distil within it."""
from collections.abc import Mapping

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import EMAHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from ...models.averaged_model import WeightAverageTeacher
from ...models.objectives import refuse_objective
from ...models.recognizer import MultiModalRecognizer
from ...models.slots import Distiller
from ..adapters import ForeignDistiller, LossTap
from .gradient_consistency import (
    check_counts_epochs,
    check_every,
    forget_compiled_code,
    unwrap,
)
from .sync_buffers import moving_buffers

__all__ = ['WATeacherDistillHook']


@HOOKS.register_module()
class WATeacherDistillHook(EMAHook):
    """Keep a weight-averaged teacher; let it teach; validate with it.

    The teacher predicts at validation and test, and stands in checkpoints
    as ``state_dict`` with the student as ``ema_state_dict`` (MMEngine's
    convention), so that a test needs no hook. ``load_from`` such a
    checkpoint, or resuming it without this hook, therefore starts a student
    from the teacher's weights.

    ``MultiModalRecognizer`` is taught by its fused prediction (Eq. 8). Any
    other classifier of the OpenMMLab convention is taught through its public
    forward, see :class:`~mbcd_mmaction.engine.adapters.ForeignDistiller`.

    In a recognizer with ``unimodal_loss_weight=0`` the uni-modal terms of
    Eq. 8 reach the probes alone, not the encoders.

    Args:
        ema_decay (float): Weight on the past in Eq. 7, [0, 1). Defaults to
            0.999.
        distill_weight (float or dict): lambda of Eq. 9; a dict names
            'fused' and modalities, or 'unimodal' for all of these; what it
            does not name weighs 0. 0 leaves plain weight averaging, which
            works on any model. Defaults to 1.0.
        ema_warmup (bool): Start with a small decay, min(ema_decay, (1 + t) /
            (10 + t)). Defaults to False.
        distill_warmup_epochs (float): Raise the distillation weight from 0
            linearly over that many epochs from ``start_epoch`` on. Defaults
            to 0.
        update_buffers (bool): Average BatchNorm's running statistics too;
            otherwise they are copied. Defaults to True.
        start_epoch (int): First epoch that averages, counted from 0; until
            then the teacher is a copy of the student. Defaults to 0.
        logits_from (str, optional): Of a model that is no
            ``MultiModalRecognizer``, the name of the module that returns its
            logits. Defaults to None: ``cls_head`` or ``head``.
        distill_every (int): Distil on every ``distill_every``-th training
            iteration alone, counted from the first of the run (a resumed
            run counts on); the teacher is not asked on the others. The
            average moves on all. Defaults to 1: on all.
    """

    def __init__(self,
                 ema_decay: float = 0.999,
                 distill_weight: float | Mapping[str, float] = 1.0,
                 ema_warmup: bool = False,
                 distill_warmup_epochs: float = 0,
                 update_buffers: bool = True,
                 start_epoch: int = 0,
                 logits_from: str | None = None,
                 distill_every: int = 1) -> None:
        super().__init__('WeightAverageTeacher')
        weights = (
            dict(distill_weight) if isinstance(distill_weight, Mapping) else
            {'every term': distill_weight})
        if any(w < 0 for w in weights.values()):
            raise ValueError(f'distill_weight must be >= 0, got {weights}')
        if distill_warmup_epochs < 0 or start_epoch < 0:
            raise ValueError(
                'distill_warmup_epochs and start_epoch must be >= 0, got '
                f'{distill_warmup_epochs} and {start_epoch}')
        self.start_epoch = start_epoch
        self.distill_weight = distill_weight
        self.distills = any(w > 0 for w in weights.values())
        self.distill_warmup_epochs = distill_warmup_epochs
        self.teacher_cfg = dict(
            ema_decay=ema_decay,
            warmup=ema_warmup,
            update_buffers=update_buffers)
        self.logits_from = logits_from
        self.distill_every = check_every('distill_every', distill_every)
        self.distiller: Distiller | ForeignDistiller | None = None
        self.src_model: nn.Module | None = None
        self.teacher_in_place = False
        self.joined = False  # running statistics, over the ranks

    def before_run(self, runner: Runner) -> None:
        """Build the teacher; what is frozen is shared, not copied.

        MMEngine calls this before each of train, val and test: a test that
        follows training finds the teacher of that training.

        Raises:
            ValueError: Another hook averages the weights too.
        """
        _check_alone(runner)
        model = unwrap(runner.model)
        LossTap.of(model).clear()  # a training that failed left it there
        if self.src_model is model:
            self._place_student()
            return
        self.src_model = model
        self.ema_model = self._build_average(model)
        self.teacher_in_place = False

    def before_train(self, runner: Runner) -> None:
        """Start from the student, initialised by now, and fill the slot."""
        super().before_train(runner)
        check_counts_epochs(runner, self.start_epoch)
        if isinstance(getattr(runner, 'optim_wrapper', None),
                      OptimWrapperDict):
            raise TypeError(
                'WATeacherDistillHook averages after each step of the '
                'optimizer: expected one optim_wrapper, got several '
                '(OptimWrapperDict)')
        if int(self.ema_model.steps) == 0:
            self.ema_model.copy_from(self.src_model)
        if not self.distills:
            return
        teacher = self.ema_model.module
        if isinstance(self.src_model, MultiModalRecognizer):
            refuse_objective(self.src_model)
            self._check_names()
            self.distiller = Distiller(teacher.fused_prob,
                                       self.distill_weight)
            self.src_model.distiller = self.distiller
        else:
            self.distiller = ForeignDistiller(
                self.src_model, teacher, self.distill_weight,
                self.logits_from)
            forget_compiled_code(runner)

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Switch on or off for this step; set the weight's ramp."""
        self._place_student()
        if self.distiller is None:
            return
        active = runner.iter % self.distill_every == 0
        if isinstance(self.distiller, ForeignDistiller):
            self.distiller.active = active
        else:
            self.src_model.distiller = self.distiller if active else None
        if self.distill_warmup_epochs > 0:
            per_epoch = len(runner.train_dataloader)
            begun = runner.iter - self.start_epoch * per_epoch
            share = begun / (per_epoch * self.distill_warmup_epochs)
            self.distiller.ramp = min(1.0, max(0.0, share))

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: DATA_BATCH = None,
                         outputs: dict | None = None) -> None:
        """Eq. 7, where the optimizer was to step.

        A step that a float16 loss scale made the optimizer skip counts too:
        the student is then averaged once more as it is.
        """
        if isinstance(self.distiller, ForeignDistiller):
            self.distiller.check_asked()
        if not runner.optim_wrapper.should_update():
            return
        self.joined = False
        if self._ema_started(runner):
            self.ema_model.update_parameters(self.src_model)
        else:
            self.ema_model.copy_from(self.src_model)

    def after_train_epoch(self, runner: Runner) -> None:
        """Let all ranks validate with the same running statistics."""
        self._join_statistics()

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was found."""
        if isinstance(self.distiller, ForeignDistiller):
            self.distiller.detach()
            forget_compiled_code(runner)
        elif self.distiller is not None:
            self.src_model.distiller = None
        self.distiller = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Resume the teacher, or start both from one state dict."""
        resumes = 'ema_state_dict' in checkpoint and runner._resume
        if resumes:
            expected = self.ema_model.state_dict().keys()
            missing = expected - checkpoint['ema_state_dict'].keys()
            if missing:
                raise ValueError(
                    'the checkpoint belongs to another teacher: it lacks '
                    f'{sorted(missing)[:5]} ({len(missing)} tensors) in '
                    'ema_state_dict; resume with the config that wrote it')
        super().after_load_checkpoint(runner, checkpoint)

    def before_val_epoch(self, runner: Runner) -> None:
        """The teacher predicts; in an iteration-based loop, whose one epoch
        ends after the last validation, with statistics joined here."""
        self._place_student()
        self._join_statistics()
        self._place_teacher()

    def after_val_epoch(self,
                        runner: Runner,
                        metrics: dict[str, float] | None = None) -> None:
        """The student trains on."""
        self._place_student()

    def before_test_epoch(self, runner: Runner) -> None:
        """The teacher predicts."""
        self._place_teacher()

    def after_test_epoch(self,
                         runner: Runner,
                         metrics: dict[str, float] | None = None) -> None:
        """Leave the model as it was found."""
        self._place_student()

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict) -> None:
        """Save the teacher as ``state_dict``, the student beside it."""
        if not self.teacher_in_place:
            super().before_save_checkpoint(runner, checkpoint)
            return
        # an error stopped a validation: state_dict is the teacher's already
        checkpoint['ema_state_dict'] = self.ema_model.state_dict()

    def _build_average(self, model: nn.Module) -> WeightAverageTeacher:
        """The averaged model of this hook."""
        return WeightAverageTeacher(model, **self.teacher_cfg)

    def _place_teacher(self) -> None:
        """Give the model the teacher's weights, if it has them not yet."""
        if not self.teacher_in_place:
            self._swap_ema_parameters()

    def _place_student(self) -> None:
        """Give the model its own weights back.

        An error during validation leaves the teacher's in place; whatever
        comes next begins here.
        """
        if self.teacher_in_place:
            self._swap_ema_parameters()

    def _join_statistics(self) -> None:
        """Make the teacher's running statistics the mean over all ranks."""
        if get_world_size() == 1 or self.joined:
            return
        self.joined = True
        moving = moving_buffers(self.src_model)
        for name, buffer in self.ema_model.module.named_buffers():
            if buffer.is_floating_point() and name in moving:
                all_reduce(buffer, 'mean')

    def _ema_started(self, runner: Runner) -> bool:
        """Whether this epoch averages."""
        return runner.epoch >= self.start_epoch

    def _swap_ema_parameters(self) -> None:
        """Exchange teacher and student: pointers move, not numbers."""
        with torch.no_grad():
            self.ema_model.swap_with(self.src_model)
        self.teacher_in_place = not self.teacher_in_place

    def _check_names(self) -> None:
        """Refuse weights for terms that do not exist."""
        if not isinstance(self.distill_weight, Mapping):
            return
        known = {'fused', 'unimodal', *self.src_model.modalities}
        unknown = self.distill_weight.keys() - known
        if unknown:
            raise ValueError(f'distill_weight names {sorted(unknown)}: '
                             f'expected some of {sorted(known)}')


def _check_alone(runner: Runner) -> None:
    """Refuse a second average, a stock one too."""
    averaging = [type(hook).__name__ for hook in runner.hooks
                 if isinstance(hook, EMAHook)]
    if len(averaging) > 1:
        raise ValueError(
            f'expected one hook that averages weights, got {averaging}: each '
            'exchanges them with the model for a validation, and the '
            'exchanges of two do not undo each other. Leave one of them in '
            'custom_hooks')
