"""Running statistics over all processes, without wearing what is constant."""
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import all_reduce_params
from mmengine.hooks import SyncBuffersHook as HostSyncBuffersHook
from torch import Tensor, nn

from ...models.averaged_model import in_training
from .gradient_consistency import unwrap

__all__ = ['SyncBuffersHook', 'moving_buffers']


@HOOKS.register_module()
class SyncBuffersHook(HostSyncBuffersHook):
    """The host's hook of that name, which leaves constant buffers alone.

    The host replaces every buffer by its mean over the processes: a frozen
    BatchNorm's statistics and the mean and deviation of the preprocessor
    too. The mean of equal numbers can be another number by rounding (of
    three, in float32, for about one value in five), so they wear away epoch by
    epoch, and stored trunk features are no longer those of the trunk.

    It has the host's name in MMAction2's registry, so that a config asks for
    it as it asks for the host's; so do other configs with
    ``default_scope='mmaction'`` once this package is imported.
    """

    def before_val_epoch(self, runner: Any) -> None:
        """Average, if that was not done since the last training step."""
        if self.distributed and not self.called_in_train:
            self._average(runner)
        self.called_in_train = False

    def after_train_epoch(self, runner: Any) -> None:
        """Average at the end of each epoch."""
        if self.distributed:
            self._average(runner)
            self.called_in_train = True

    def _average(self, runner: Any) -> None:
        moving = moving_buffers(unwrap(runner.model))
        all_reduce_params(list(moving.values()), op='mean')


def moving_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Name to buffer, of modules that are in train mode while the model is;
    the data preprocessor has constants alone."""
    with in_training(model):
        names = {
            name for prefix, module in model.named_modules()
            if module.training
            for name, _ in module.named_buffers(prefix, recurse=False)
        }
    return {
        name: buffer for name, buffer in model.named_buffers()
        if name in names and not name.startswith('data_preprocessor.')
    }
