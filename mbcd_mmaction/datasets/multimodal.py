"""What every dataset of several modalities shares: reading and its errors."""
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from mmaction.datasets.base import BaseActionDataset
from mmaction.registry import TRANSFORMS

from .errors import ClipReadError, ReadFailure
from .records import number_repeats
from .trunk_cache.reader import TrunkCache, packing_step

_POLICIES = ('raise', 'skip', 'substitute')


class MultiModalDataset(BaseActionDataset):
    """Clips of several modalities, with a policy for those it cannot read.

    A subclass implements ``load_data_list``; each record has ``label``
    (int), ``domain``, ``split``, ``clip_id``, ``video_id``, ``start`` and
    ``stop`` (seconds in the recording) and ``sources``, a dict from modality
    to what :class:`MultiModalPipeline` reads.

    ``on_error`` says what a clip with a missing, empty or unreadable file
    does:

    - ``'substitute'`` (training): a random clip takes its place; the files
      at fault travel as ``read_errors`` in the metainfo of the data sample
      of that clip, where :class:`ReadErrorHook` finds them.
    - ``'raise'`` (test and validation): the error is raised at once, since a
      score over fewer clips is not the score that was asked for.
    - ``'skip'`` (test and validation): the next clip takes its place with
      ``skipped=True`` in its metainfo, and the metric leaves it out and
      counts it.

    Args:
        pipeline (Sequence[dict | Callable]): Transforms, as a rule a
            :class:`MultiModalPipeline` and a packing transform. Types are
            looked up in MMAction2's registry whatever the default scope.
        test_mode (bool): Whether this is for validation or test. Defaults
            to False.
        on_error (str, optional): See above. Defaults to None: 'raise' in
            test mode, else 'substitute'.
        num_classes (int, optional): Number of classes K; labels outside
            [0, K) are an error. Defaults to None: any of 0 or more will do.
        max_refetch (int): How many clips in a row may be unreadable before
            the dataset gives up. Defaults to 10.
        trunk_cache (str, optional): Folder of stored trunk features that
            take the place of the pipeline, see docs/trunk_cache.md.
            Defaults to None: the pipeline runs.
        **kwargs: Passed to MMEngine's ``BaseDataset``: ``data_root``,
            ``metainfo``, ``indices``, ``serialize_data``, ``lazy_init``,
            ``filter_cfg``, ``ann_file``, ``data_prefix``.

    Raises:
        ValueError: ``on_error`` is unknown or does not fit ``test_mode``;
            ``num_classes`` is not a positive whole number.
    """

    def __init__(self,
                 pipeline: Sequence[dict | Callable] = (),
                 test_mode: bool = False,
                 on_error: str | None = None,
                 num_classes: int | None = None,
                 max_refetch: int = 10,
                 trunk_cache: str | None = None,
                 **kwargs: Any) -> None:
        self.on_error = _check_policy(on_error, test_mode)
        if num_classes is not None and not (_is_whole(num_classes)
                                            and num_classes > 0):
            raise ValueError('num_classes: expected a whole number of 1 or '
                             f'more, got {num_classes!r}')
        self.trunk_cache = (
            TrunkCache(trunk_cache, pipeline) if trunk_cache else None)
        kwargs.setdefault('ann_file', '')
        kwargs.setdefault('data_prefix', {})
        super().__init__(
            pipeline=[
                TRANSFORMS.build(step) if isinstance(step, dict) else step
                for step in pipeline
            ],
            test_mode=test_mode,
            num_classes=num_classes,
            max_refetch=max_refetch,
            **kwargs)

    def full_init(self) -> None:
        """List the clips, and open the cache of their trunk features."""
        super().full_init()
        self.open_cache()

    def open_cache(self) -> None:
        """Open the cache of trunk features, if there is one; refuse one of
        another pipeline or version of the package."""
        if self.trunk_cache is not None:
            self.trunk_cache.open()

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Record number ``idx`` (see the class), plus ``sample_idx``."""
        record = super().get_data_info(idx)
        # The host adds one modality and start index for the whole record;
        # here each source has its own.
        del record['modality'], record['start_index']
        return record

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of one clip, for the host's ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)['label']]

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one record; None counts as unreadable."""
        record = self.get_data_info(idx)
        if self.trunk_cache is not None:
            return self.trunk_cache.sample(
                record, packing_step(self.pipeline.transforms))
        clip_id = record['clip_id']
        data = self.pipeline(record)
        if data is None:
            raise ClipReadError('data', clip_id, 'the pipeline gave None',
                                clip_id)
        return data

    def __getitem__(self, idx: int) -> Any:
        """One clip after the pipeline, or what ``on_error`` puts there.

        Raises:
            ClipReadError: The clip cannot be read and ``on_error`` is
                'raise'.
            RuntimeError: Neither it nor ``max_refetch`` others can be read.
        """
        self.full_init()
        failures: list[ReadFailure] = []
        while True:
            try:
                data = self.prepare_data(idx)
            except ClipReadError as error:
                if self.on_error == 'raise':
                    raise
                failures.append(
                    ReadFailure(error.path, error.reason, error.modality,
                                error.clip_id))
                if len(failures) > self.max_refetch:
                    raise RuntimeError(_give_up(failures)) from error
                idx = self._another(idx)
            else:
                return self._attach(data, failures)

    def _another(self, idx: int) -> int:
        """Index of the clip that takes the place of clip ``idx``."""
        if self.on_error == 'skip':
            return (idx + 1) % len(self)
        return int(np.random.randint(len(self)))

    def _attach(self, data: Any, failures: list[ReadFailure]) -> Any:
        """Put the failures where the hook and the metric look for them."""
        skipped = bool(failures) and self.on_error == 'skip'
        report = dict(read_errors=failures, skipped=skipped)
        if 'data_samples' in data:
            data['data_samples'].set_metainfo(report)
        else:
            data.update(report)
        return data

    def _checked(self, records: list[dict[str, Any]],
                 files: Iterable[str]) -> list[dict[str, Any]]:
        """The records, if there are any and their labels are possible.

        Args:
            records (list[dict]): What ``load_data_list`` found. Where two
                have one ``clip_id``, the second's gets a number.
            files (Iterable[str]): Where it looked, for the error.

        Raises:
            ValueError: There are none, or a label is not a whole number in
                [0, num_classes).
        """
        if not records:
            raise self.no_clips(files)
        for record in records:
            problem = label_problem(record['label'], self.num_classes)
            if problem:
                raise self.label_error(problem, record)
        return number_repeats(records)

    @staticmethod
    def no_clips(files: Iterable[str]) -> ValueError:
        """The error of a set without clips."""
        return ValueError('no clips: expected at least one row in '
                          f'{sorted(files)}')

    @staticmethod
    def label_error(problem: str, record: dict[str, Any]) -> ValueError:
        """The error of a label that is no class."""
        return ValueError(
            f'{problem} for clip {record["clip_id"]} of domain '
            f'{record["domain"]}, {record["split"]} split')


def label_problem(label: Any, num_classes: int | None) -> str:
    """What is wrong with a label, in words; '' for nothing.

    Args:
        label: The label.
        num_classes (int, optional): Number of classes K; None if it is not
            known.
    """
    if _is_whole(label) and label >= 0 and (num_classes is None
                                            or label < num_classes):
        return ''
    if num_classes is None:
        return f'labels: expected whole numbers of 0 or more, got {label!r}'
    return (f'labels: expected 0 to {num_classes - 1} '
            f'(num_classes={num_classes}), got {label!r}')


def _is_whole(value: Any) -> bool:
    """Whether a value is an int, which True is not meant to be."""
    return isinstance(value, int) and not isinstance(value, bool)


def _check_policy(on_error: str | None, test_mode: bool) -> str:
    """The policy in force; see :class:`MultiModalDataset`."""
    if on_error is None:
        return 'raise' if test_mode else 'substitute'
    if on_error not in _POLICIES:
        raise ValueError(f'on_error: expected one of {list(_POLICIES)} or '
                         f'None, got {on_error!r}')
    if on_error == 'substitute' and test_mode:
        raise ValueError(
            "on_error='substitute' in test mode would score some clips twice "
            "and others never: expected 'raise' or 'skip'")
    if on_error == 'skip' and not test_mode:
        raise ValueError(
            "on_error='skip' in training would train on clips marked as "
            "skipped: expected 'raise' or 'substitute'")
    return on_error


def _give_up(failures: Sequence[ReadFailure]) -> str:
    """Text of the error after too many failures in a row."""
    lines = [f'  {item.path}: {item.reason}' for item in failures]
    return '\n'.join([
        f'{len(failures)} clips in a row could not be read (max_refetch='
        f'{len(failures) - 1}). Is data_root right, and is the set complete? '
        'See docs/data_preparation.md', *lines
    ])
