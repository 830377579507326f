"""Checks with a process group: NCCL, DDP and SyncBN, in one process."""
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from common import Setting, build_model, fresh, make_batch
from measure import largest_difference, math_mode, relative_error, state_copy
from mmengine.model import MMDistributedDataParallel
from mmengine.model.utils import convert_sync_batchnorm
from stepping import Trainer, one_process_group
from torch import Tensor, nn
from torch.nn.modules.batchnorm import SyncBatchNorm

from mbcd_mmaction.functional import average_across_ranks

# Of all that moved in three steps. Adam makes much of the sign of gradients
# that are all rounding, so kernels must not add in another order each time.
TOLERANCE = 1e-2
STEPS = 3


def wrap(setting: Setting):
    """As MMEngine's Runner wraps a model for distributed training."""
    ids = [torch.cuda.current_device()] if setting.cuda else None
    return lambda model: MMDistributedDataParallel(
        model, device_ids=ids, broadcast_buffers=False)


def flat_reduction(setting: Setting) -> tuple[bool, dict]:
    """The inner gradient is one all-reduce; in one process there is none."""
    model = build_model(setting)
    grads = {n: torch.randn_like(p) for n, p in model.named_parameters()
             if p.requires_grad and n.startswith('branches')}
    with one_process_group(setting) as backend:
        skipped, calls_alone = counted(grads, world=None)
        halved, calls_forced = counted(grads, world=2)
    same = all(skipped[n] is grads[n] for n in grads)
    gap = max(float((halved[n] - grads[n] / 2).abs().max()) for n in grads)
    size = sum(g.numel() * g.element_size() for g in grads.values())
    passed = same and not calls_alone and calls_forced == [size] and gap == 0
    return passed, dict(
        backend=backend, reductions_in_one_process=len(calls_alone),
        reductions_if_two=len(calls_forced), bytes_a_step=size,
        largest_difference=gap)


def counted(grads: dict[str, Tensor],
            world: int | None) -> tuple[dict[str, Tensor], list[int]]:
    """The averaged gradients and the bytes of each reduction.

    Args:
        grads (dict[str, Tensor]): Gradients.
        world (int, optional): What the world's size is taken for: the sum
            over the one process there is, divided by it.
    """
    dist, calls = torch.distributed, []
    reduce, size = dist.all_reduce, dist.get_world_size

    def all_reduce(tensor, *args, **kwargs):
        calls.append(tensor.numel() * tensor.element_size())
        return reduce(tensor, *args, **kwargs)

    dist.all_reduce = all_reduce
    if world is not None:
        dist.get_world_size = lambda *args, **kwargs: world
    try:
        return average_across_ranks(grads), calls
    finally:
        dist.all_reduce, dist.get_world_size = reduce, size


def ddp_step(setting: Setting) -> tuple[bool, dict]:
    """Steps within MMDistributedDataParallel are the steps without."""
    return same_training(setting, lambda model: model)


def sync_bn(setting: Setting) -> tuple[bool, dict]:
    """``sync_bn='torch'`` keeps a frozen trunk frozen, and the numbers.

    With one process its statistics are those of BatchNorm; that several
    processes agree is not seen here.
    """
    # On a CPU it refuses to run within a process group, even of one process.
    return same_training(setting, sync_bn_model, grouped=setting.cuda)


def sync_bn_model(model: nn.Module) -> nn.Module:
    """As MMEngine's Runner converts it, before hooks see it."""
    return convert_sync_batchnorm(model, 'torch')


def trunk_modes(model: nn.Module) -> list[bool]:
    """Of each SyncBatchNorm in a trunk, whether it is in training mode."""
    return [m.training for branch in model.branches.values()
            for part in branch.trunk_modules for m in part.modules()
            if isinstance(m, SyncBatchNorm)]


def same_training(setting: Setting, convert,
                  grouped: bool = True) -> tuple[bool, dict]:
    """Train plainly, and converted within DDP; compare all that moved.

    Args:
        setting (Setting): Device and size.
        convert (Callable): Changes the model before DDP wraps it.
        grouped (bool): Whether there are a process group and DDP at all.
    """
    model = build_model(setting, dropout=0.0)
    before = state_copy(model)
    batch = make_batch(setting, min(setting.batch, 4))
    with math_mode('fp32'), same_order():
        expected = moved(setting, fresh(model), batch, before)
        with one_process_group(setting) if grouped else nullcontext():
            other = convert(fresh(model)).train()
            modes = trunk_modes(other)
            found = moved(setting, other, batch, before,
                          wrap(setting) if grouped else None)
    error = relative_error(found, expected)
    return error <= TOLERANCE and not any(modes), dict(
        grouped=grouped, relative_error=error, tolerance=TOLERANCE,
        largest_difference=largest_difference(found, expected),
        sync_bn=sum(isinstance(m, SyncBatchNorm) for m in other.modules()),
        sync_bn_in_trunk=len(modes), of_these_training=sum(modes))


@contextmanager
def same_order() -> Iterator[None]:
    """cuDNN's deterministic kernels, for the while."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def moved(setting: Setting, model: nn.Module, batch: dict,
          before: dict[str, Tensor], wrapper=None) -> dict[str, Tensor]:
    """What some steps add to each floating-point tensor."""
    trainer = Trainer(setting, model, wrap=wrapper)
    torch.manual_seed(1)
    for _ in range(STEPS):
        trainer.step(batch)
    return {n: t - before[n] for n, t in state_copy(model).items()
            if t.is_floating_point()}
