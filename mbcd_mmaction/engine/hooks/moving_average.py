"""Report the mean of all students since a step, and lend it out."""
from mmaction.registry import HOOKS
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from torch import nn

from ...models.moving_average import SimpleMovingAverage
from ...models.objectives import AveragedNetwork
from .wa_teacher_distill import WATeacherDistillHook

__all__ = ['SimpleMovingAverageHook']


@HOOKS.register_module()
class SimpleMovingAverageHook(WATeacherDistillHook):
    """Keep the uniform mean of the students; validate and test with it.

    Checkpoints are those of ``WATeacherDistillHook``. A recognizer's
    objective finds the averaged network in its batch (CMRF distils from it).

    Args:
        start_step (int): Iterations that come before the first student of
            the mean; until then it is a copy, and does not teach. CMRF takes
            400 on EPIC-Kitchens and 100 on HAC. Defaults to 0.
        update_buffers (bool): See SimpleMovingAverage. Defaults to True.
    """

    def __init__(self, start_step: int = 0,
                 update_buffers: bool = True) -> None:
        super().__init__(distill_weight=0.0, update_buffers=update_buffers)
        if start_step < 0:
            raise ValueError(f'start_step must be >= 0, got {start_step}')
        self.start_step = start_step

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: DATA_BATCH = None) -> None:
        """Lend the averaged network, which teaches after ``start_step``."""
        super().before_train_iter(runner, batch_idx, data_batch)
        self.src_model.averaged = AveragedNetwork(
            self.ema_model.module, teaches=runner.iter > self.start_step)

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was found."""
        super().after_train(runner)
        self.src_model.averaged = None

    def _build_average(self, model: nn.Module) -> SimpleMovingAverage:
        """The averaged model of this hook."""
        return SimpleMovingAverage(
            model, update_buffers=self.teacher_cfg['update_buffers'])

    def _ema_started(self, runner: Runner) -> bool:
        """Whether the student of this iteration belongs to the mean."""
        return runner.iter >= self.start_step
