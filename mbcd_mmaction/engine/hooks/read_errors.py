"""Count clips that could not be read, and stop when they are too many."""
from collections.abc import Mapping
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dataset import ClassBalancedDataset, RepeatDataset
from mmengine.dist import all_gather_object, is_distributed
from mmengine.hooks import Hook


@HOOKS.register_module()
class ReadErrorHook(Hook):
    """Report the files that training could not read, and limit their share.

    A dataset that puts another clip in the place of an unreadable one
    (``on_error='substitute'``) leaves ``read_errors`` in the metainfo of its
    data samples: entries that begin with path and reason, with the clip as
    ``clip_id`` where it is known. Each file is logged once, and counts at
    the end of each epoch. Clips whose stretch of sound was empty
    (``audio_empty``) are trained on as silence and counted too.

    In distributed training the processes join their lists at the end of the
    epoch (an iteration-based loop has one) and stop together; a single
    process stops at once. A resumed run counts from nothing.

    Args:
        max_share (float): Largest share of the dataset's clips that may have
            been unreadable since the start, in [0, 1]. A dataset that is
            repeated counts once. Defaults to 0.01.

    Raises:
        ValueError: ``max_share`` is outside [0, 1].
        RuntimeError: More clips than that could not be read; the text lists
            their files.
    """
    priority = 'NORMAL'

    def __init__(self, max_share: float = 0.01) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(
                f'max_share: expected a share in [0, 1], got {max_share}')
        self.max_share = max_share
        self.files: dict[str, str] = {}
        self.clips: set[str] = set()
        self.silent_clips: set[str] = set()
        self._reads = 0

    def before_train_epoch(self, runner: Any) -> None:
        """Start the epoch's count."""
        self._reads = 0

    def after_train_iter(self,
                         runner: Any,
                         batch_idx: int,
                         data_batch: Mapping | None = None,
                         outputs: Mapping | None = None) -> None:
        """Collect from one batch; a single process checks the share."""
        samples = (data_batch or {}).get('data_samples') or ()
        before = len(self.clips)
        for sample in samples:
            for failure in sample.get('read_errors') or ():
                path, reason = failure[:2]
                self._reads += 1
                self._note_file(runner, path, reason)
                self.clips.add(getattr(failure, 'clip_id', '') or path)
            if sample.get('audio_empty'):
                self.silent_clips.add(sample.get('clip_id', '(unnamed)'))
        if len(self.clips) > before and not is_distributed():
            self._check(runner)

    def after_train_epoch(self, runner: Any) -> None:
        """Join the processes' lists, log the counts, check the share."""
        mine = (self.files, self.clips, self.silent_clips, self._reads)
        reads = 0
        for files, clips, silent, count in all_gather_object(mine):
            for path, reason in files.items():
                self._note_file(runner, path, reason)
            self.clips |= clips
            self.silent_clips |= silent
            reads += count
        if self.clips:
            total = _clips(runner)
            runner.logger.warning(
                f'unreadable clips: {reads} reads failed in this epoch; '
                f'{len(self.clips)} of {total} clips '
                f'({len(self.clips) / total:.2%}) so far, for '
                f'{len(self.files)} files. Other clips took their places')
        if self.silent_clips:
            runner.logger.warning(
                f'{len(self.silent_clips)} clips so far have no sound between '
                'their start and stop: they count as silence')
        self._check(runner)

    def _note_file(self, runner: Any, path: str, reason: str) -> None:
        """Remember a file, and log it the first time."""
        if path not in self.files:
            self.files[path] = reason
            runner.logger.warning(f'unreadable: {path}: {reason}')

    def _check(self, runner: Any) -> None:
        """Raise where too large a share of the clips is unreadable."""
        total = _clips(runner)
        if len(self.clips) <= self.max_share * total:
            return
        listed = '\n'.join(f'  {path}: {reason}'
                           for path, reason in sorted(self.files.items()))
        raise RuntimeError(
            f'{len(self.clips)} of {total} training clips could not be read, '
            f'more than max_share={self.max_share:.2%}. Mend or remove them, '
            f'or raise max_share of ReadErrorHook. Files:\n{listed}')


def _clips(runner: Any) -> int:
    """Clips of the training set, each once where a wrapper repeats them."""
    dataset = runner.train_dataloader.dataset
    while isinstance(dataset, (RepeatDataset, ClassBalancedDataset)):
        dataset = dataset.dataset
    return len(dataset)
