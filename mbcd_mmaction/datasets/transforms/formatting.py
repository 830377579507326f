"""Packing of a sample of several modalities."""
import copy
from collections.abc import Sequence
from typing import Any

from mmaction.datasets.transforms import PackActionInputs
from mmaction.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackMultiModalInputs(PackActionInputs):
    """The host's packing, with the fields that must not be forgotten.

    ``inputs`` is a dict from modality to tensor; the data sample carries
    ``gt_label``, ``domain`` and, where a modality is absent,
    ``modality_mask``; its metainfo carries ``clip_id``, ``video_id``,
    ``start``, ``stop`` (seconds) and ``audio_empty``. With the host's class
    a config that forgets to name ``modality_mask`` would predict from zeros
    as if they were data.

    Args:
        collect_keys (Sequence[str]): Modalities to pack; of a record that
            says which ``modalities`` its dataset was asked for, those.
        meta_keys (Sequence[str]): Further keys for the metainfo. Defaults
            to ().
        algorithm_keys (Sequence[str]): Further fields of the data sample.
            Defaults to ().
    """

    def __init__(self,
                 collect_keys: Sequence[str],
                 meta_keys: Sequence[str] = (),
                 algorithm_keys: Sequence[str] = ()) -> None:
        super().__init__(
            collect_keys=tuple(collect_keys),
            meta_keys=('clip_id', 'video_id', 'start', 'stop', 'audio_empty',
                       *meta_keys),
            algorithm_keys=('domain', 'modality_mask', *algorithm_keys))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the modalities that were read."""
        wanted = results.get('modalities', self.collect_keys)
        # The host's method reads its attribute.
        packer = copy.copy(self)
        packer.collect_keys = tuple(
            key for key in self.collect_keys if key in wanted)
        return super(PackMultiModalInputs, packer).transform(results)
