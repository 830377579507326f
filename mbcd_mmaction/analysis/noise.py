"""Gaussian noise on one modality, the same for every model that is asked."""
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ['SCALES', 'ClipNoise', 'noises']

SCALES = ('clip', 'unit')


class ClipNoise:
    """Adds noise to one modality of a batch: x + strength * scale * eps.

    eps is standard normal, drawn for each clip by itself from the seed, the
    modality's name and the clip's place in the loader. It depends neither on
    the batch size nor on the strength: clips meet the same eps in every
    model, louder or softer. One object serves one pass over a loader.

    Args:
        modality (str): What is disturbed.
        strength (float): 0 or more; 0 changes nothing.
        seed (int): Of the noise. Defaults to 0.
        scale (str): 'clip' for the standard deviation of the clip's own
            input of that modality, so that the signal-to-noise ratio is
            1 / strength^2 in every modality; 'unit' for 1, in the units of
            the normalised input. Defaults to 'clip'.

    Raises:
        ValueError: A negative strength or an unknown scale.
    """

    def __init__(self,
                 modality: str,
                 strength: float,
                 seed: int = 0,
                 scale: str = 'clip') -> None:
        if strength < 0 or scale not in SCALES:
            raise ValueError('expected a strength of 0 or more and a scale '
                             f'of {list(SCALES)}, got {strength}, {scale!r}')
        self.modality = modality
        self.strength = strength
        self.seed = seed
        self.scale = scale
        self.seen = 0

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch with noise: modality to (N, S, C, ...), a new mapping.

        Raises:
            ValueError: The batch lacks the modality.
        """
        if self.modality not in inputs:
            raise ValueError(f'noise on {self.modality!r}: expected inputs '
                             f'of it, got {sorted(inputs)}')
        clips = inputs[self.modality]
        noisy = [self._disturb(clip, self.seen + i)
                 for i, clip in enumerate(clips)]
        self.seen += len(clips)
        return {**inputs, self.modality: torch.stack(noisy)}

    def _disturb(self, clip: Tensor, index: int) -> Tensor:
        """One clip (S, C, ...), the ``index``-th of the loader."""
        words = [self.seed, zlib.crc32(self.modality.encode()), index]
        state = np.random.SeedSequence(words).generate_state(1, np.uint64)
        # on the CPU: the same noise on every device
        generator = torch.Generator().manual_seed(int(state[0] >> 1))
        eps = torch.randn(clip.shape, generator=generator).to(clip)
        size = clip.std() if self.scale == 'clip' else 1.0
        return clip + self.strength * size * eps


def noises(modalities: Sequence[str],
           strengths: Sequence[float],
           seed: int = 0,
           scale: str = 'clip') -> dict[tuple[str, float], ClipNoise]:
    """Each modality in turn, at each strength; see :class:`ClipNoise`."""
    return {(m, s): ClipNoise(m, s, seed, scale)
            for m in modalities for s in strengths}
