"""The uniform mean of all students since a step."""
from mmaction.registry import MODELS
from torch import nn

from .averaged_model import WeightAverageTeacher

__all__ = ['SimpleMovingAverage']


@MODELS.register_module()
class SimpleMovingAverage(WeightAverageTeacher):
    """The mean of the students at its updates, each counting the same.

    The first update copies; update t moves by 1 / (t + 1). Frozen parts are
    shared as in :class:`WeightAverageTeacher`.

    Args:
        model (nn.Module): The student, with its final ``requires_grad``.
        update_buffers (bool): Average floating-point buffers too; otherwise
            they are copied. Defaults to True.
        interval (int): Updates happen at every ``interval``-th call.
            Defaults to 1.
    """

    def __init__(self,
                 model: nn.Module,
                 update_buffers: bool = True,
                 interval: int = 1) -> None:
        super().__init__(
            model, update_buffers=update_buffers, interval=interval)

    def decay_at(self, step: int) -> float:
        """t / (t + 1) after t updates."""
        return step / (step + 1)
