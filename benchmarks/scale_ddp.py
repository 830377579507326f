"""Bytes that a step sends between ranks, and the time that takes on paper.

The sizes are those of the config's model, built without memory. What is sent
in a step: the inner gradient of the look-ahead as one all-reduce, which
nothing overlaps, and DDP's buckets, which overlap the backward pass. Times
are worked out, not measured: a ring all-reduce of B bytes over n ranks takes
2 (n - 1) / n * B / bandwidth + 2 (n - 1) * latency. Up to --gpus-per-node
ranks the slowest link is the one between GPUs, beyond that the node's.
"""
import argparse
import copy
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
# torch's own: a small first bucket, so that sending starts early.
BUCKETS = (2**20, 25 * 2**20)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--config', type=Path,
                        default=ROOT / 'configs/mbcd/epic_d1.py')
    parser.add_argument('--gpus', type=int, nargs='+', default=[8, 64])
    parser.add_argument('--gpus-per-node', type=int, default=8)
    parser.add_argument(
        '--link', type=float, default=450,
        help='GB/s a direction between the GPUs of a node (default: 450, '
        'half of the 900 both ways of the NVIDIA H100 SXM datasheet)')
    parser.add_argument(
        '--network', type=float, default=25,
        help='GB/s a direction of a node (default: 25, one port of 200 Gb/s '
        'InfiniBand HDR)')
    parser.add_argument(
        '--latency', type=float, default=10,
        help='microseconds a message (default: 10, an assumption)')


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print bytes, then seconds; returns both."""
    sizes = bytes_of_step(build_on_meta(args.config))
    print(f'{"":24}{"MB":>9}{"all-reduces":>13}')
    print(f'{"inner gradient":24}{sizes["inner"] / 1e6:9.1f}{1:13}')
    print(f'{"DDP":24}{sum(sizes["buckets"]) / 1e6:9.1f}'
          f'{len(sizes["buckets"]):13}')
    print(f'\nOn paper, ms a step{"inner":>9}{"DDP":>9}{"together":>11}')
    times = []
    for ranks in args.gpus:
        speed = args.link if ranks <= args.gpus_per_node else args.network
        inner = ring_seconds(sizes['inner'], ranks, speed, args.latency)
        buckets = sum(ring_seconds(size, ranks, speed, args.latency)
                      for size in sizes['buckets'])
        times.append(dict(gpus=ranks, bandwidth_gb_s=speed,
                          latency_us=args.latency, inner_s=inner,
                          buckets_s=buckets))
        print(f'{f"{ranks} GPUs, {speed:g} GB/s":19}{inner * 1e3:9.2f}'
              f'{buckets * 1e3:9.2f}{(inner + buckets) * 1e3:11.2f}')
    return dict(bytes=sizes, on_paper=times)


def build_on_meta(path: Path) -> nn.Module:
    """The model of a config: shapes, no numbers."""
    config = Config.fromfile(str(path))
    init_default_scope('mmaction')
    with torch.device('meta'):
        return MODELS.build(copy.deepcopy(config.model))


def bytes_of_step(model: nn.Module) -> dict[str, Any]:
    """What a step with the look-ahead sends.

    Args:
        model (nn.Module): A ``MultiModalRecognizer``.

    Returns:
        dict: ``inner``, bytes of the inner gradient; ``buckets``, bytes of
        each of DDP's, in torch's default assignment (DDP may order it anew
        after the first step; the sum stays).
    """
    inner = sum(nbytes(param) for params in model.encoder_params().values()
                for param in params.values())
    trained = [p for p in model.parameters() if p.requires_grad][::-1]
    buckets, _ = dist._compute_bucket_assignment_by_size(
        trained, list(BUCKETS), [False] * len(trained))
    return dict(inner=inner, buckets=[
        sum(nbytes(trained[i]) for i in bucket) for bucket in buckets])


def nbytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def ring_seconds(size: int, ranks: int, gb_s: float,
                 latency_us: float) -> float:
    """Seconds of a ring all-reduce.

    Args:
        size (int): Bytes on each rank.
        ranks (int): Number of them, n.
        gb_s (float): 10^9 bytes a second over the slowest link, a direction.
        latency_us (float): Microseconds before a message arrives.
    """
    return (2 * (ranks - 1) / ranks * size / (gb_s * 1e9)
            + 2 * (ranks - 1) * latency_us * 1e-6)
