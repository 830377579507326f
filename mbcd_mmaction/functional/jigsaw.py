"""Jigsaw puzzles over the parts of several modalities' embeddings.

Source: MOOSA (Dong et al., ECCV 2024), multimodal jigsaw puzzles.
"""
from collections.abc import Sequence
from math import factorial

import torch
from torch import Tensor

__all__ = ['jigsaw_puzzles', 'sample_permutations']


def sample_permutations(length: int, count: int, seed: int) -> Tensor:
    """Different permutations, drawn one by one and never enumerated.

    12 parts (three modalities of four) have 479001600 permutations; these
    draws touch only about ``count`` of them.

    Args:
        length (int): Things to permute.
        count (int): Permutations wanted, at most ``length``!.
        seed (int): Same seed, same permutations, on any machine's CPU.

    Returns:
        Tensor: Integers (count, length), no row twice.
    """
    if not 1 <= count <= factorial(length):
        raise ValueError(f'{length} parts have {factorial(length)} '
                         f'permutations: cannot draw {count} different ones; '
                         'cut into more parts (num_chunks), or take fewer '
                         '(num_permutations)')
    generator = torch.Generator('cpu').manual_seed(seed)
    found: dict[tuple[int, ...], None] = {}  # in the order of the draws
    while len(found) < count:
        order = torch.randperm(length, generator=generator, device='cpu')
        found[tuple(order.tolist())] = None
    return torch.tensor(list(found), device='cpu')


def jigsaw_puzzles(embeddings: Sequence[Tensor], num_chunks: int,
                   permutations: Sequence[Sequence[int]]
                   ) -> tuple[Tensor, Tensor]:
    """Cut embeddings into parts, and lay them in every given order.

    Args:
        embeddings (Sequence[Tensor]): z_m, (N, D_m) each, M of them.
        num_chunks (int): P, divides each D_m.
        permutations (Sequence): Q orders of the M * P parts, numbers each.

    Returns:
        tuple[Tensor, Tensor]: Puzzles (Q * N, sum of D_m) and their targets
        (Q * N,), the numbers of the permutations.
    """
    for z in embeddings:
        if z.shape[1] % num_chunks:
            raise ValueError(f'an embedding of size {z.shape[1]} cannot be '
                             f'cut into {num_chunks} equal parts')
    parts = [part for z in embeddings for part in z.chunk(num_chunks, dim=1)]
    puzzles = [
        torch.cat([parts[i] for i in order], dim=1)
        for order in permutations
    ]
    targets = torch.arange(len(puzzles), device=parts[0].device)
    return torch.cat(puzzles), targets.repeat_interleave(len(parts[0]))
