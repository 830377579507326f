"""Two processes take the step that one takes, on models not ours.

gloo on the CPU, float64, BatchNorm in eval mode; both processes are started
once and run every case through the real MMDistributedDataParallel.
"""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from foreign_models import TwoLosses, batch_of, build, two_loss_batch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn

from mbcd_mmaction.engine.adapters import (
    ForeignDistiller,
    NamedLossConsistency,
)
from mbcd_mmaction.models import LookAhead, WeightAverageTeacher

CLIPS, WORLD, STEPS = 8, 2, 2
TOL = 1e-10
POSE = (['rgb_loss_cls'], ['pose_loss_cls'])
TWO = (['loss_second'], ['loss_cls'])

# name: (model, distil, order of the look-ahead, other settings)
CASES = {
    'distil, Recognizer3D': ('SlowOnly', True, None, {}),
    'distil, dict head': ('RGBPose', True, None, {}),
    'distil, ten lines': ('two losses', True, None, {}),
    'first': ('RGBPose', False, 'first', {}),
    'second': ('RGBPose', False, 'second', {}),
    'penalty': ('RGBPose', False, 'penalty', {}),
    'cosine': ('RGBPose', False, 'cosine', {}),
    'second, ten lines': ('two losses', False, 'second', {}),
    'both, accumulated': ('two losses', True, 'second', dict(accumulate=2)),
    'each rank alone': ('two losses', False, 'first', dict(sync=False)),
}


def steady_model(name):
    """float64, no dropout, BatchNorm in eval mode: rows do not meet."""
    torch.manual_seed(11)
    model = TwoLosses() if name == 'two losses' else build(name)
    model = model.double().train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def rows_of(name, step, rows):
    """Those clips of a step's batch."""
    torch.manual_seed(100 + step)
    if name == 'two losses':
        batch = two_loss_batch(CLIPS, torch.float64)
        return {key: value[rows] for key, value in batch.items()}
    batch = batch_of(name, CLIPS)
    inputs = batch['inputs']
    # a list of clips, as the host's loader gives it
    return dict(
        inputs={k: list(v[rows].double()) for k, v in inputs.items()}
        if isinstance(inputs, dict) else list(inputs[rows].double()),
        data_samples=batch['data_samples'][rows])


def run_case(name, distil, order, rows, wrap, sync=True, accumulate=1):
    """The gradients of each step, then the weights, of these rows."""
    model = steady_model(name)
    teacher = WeightAverageTeacher(model, ema_decay=0.5)
    torch.manual_seed(5)
    with torch.no_grad():  # the first step has something to say too
        for param in teacher.module.parameters():
            param.mul_(1 + 0.2 * torch.rand_like(param))
    if distil:
        ForeignDistiller(model, teacher.module, 2.0)
    if order:
        inner, outer = TWO if name == 'two losses' else POSE
        lr = 0.5 if name == 'two losses' else 1e-2
        NamedLossConsistency(
            model, LookAhead(lr, order, sync_inner_grad=sync), inner, outer)
    params = dict(model.named_parameters())
    optimizer = torch.optim.SGD(params.values(), lr=1e-2)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(
        {n: p.grad.clone() for n, p in params.items()}))
    wrapped = wrap(model)
    optim_wrapper = OptimWrapper(optimizer, accumulative_counts=accumulate)
    optim_wrapper.initialize_count_status(wrapped, 0, STEPS * accumulate)
    for step in range(STEPS * accumulate):
        logged = wrapped.train_step(rows_of(name, step, rows), optim_wrapper)
        assert distil == any('distill' in key for key in logged)
        if optim_wrapper.should_update():
            teacher.update_parameters(model)
    return [*seen, {n: p.detach() for n, p in params.items()}, {
        n: p.clone() for n, p in teacher.module.named_parameters()}]


def work(rank, folder):
    """One of the two processes."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/meet', rank=rank,
                            world_size=WORLD)
    share = CLIPS // WORLD
    rows = slice(rank * share, (rank + 1) * share)
    torch.save({
        case: run_case(name, distil, order, rows, MMDistributedDataParallel,
                       **kwargs)
        for case, (name, distil, order, kwargs) in CASES.items()
    }, f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What each process found."""
    folder = tmp_path_factory.mktemp('foreign_ddp')
    mp.spawn(work, (str(folder), ), nprocs=WORLD)
    return [torch.load(folder / f'rank{r}.pth') for r in range(WORLD)]


def largest_gap(a, b):
    """Over gradients of both steps, weights and averages."""
    assert len(a) == len(b) == STEPS + 2
    return max((ours[n] - theirs[n]).abs().max().item()
               for ours, theirs in zip(a, b, strict=True) for n in ours)


def plain(model):
    return model


@pytest.mark.parametrize('case', CASES)
def test_two_processes_equal_one(ranks, case):
    name, distil, order, kwargs = CASES[case]
    one = run_case(name, distil, order, slice(None), plain, **kwargs)
    scale = max(g.abs().max().item() for g in one[0].values())
    assert scale > 0.1
    # DDP keeps the ranks together, whatever it averages
    assert largest_gap(ranks[0][case], ranks[1][case]) == 0
    gap = largest_gap(ranks[0][case], one)
    if kwargs.get('sync', True):
        assert gap < TOL
    else:  # each rank looked ahead elsewhere
        assert gap > 1e-4
    off = run_case(name, False, None, slice(None), plain,
                   accumulate=kwargs.get('accumulate', 1))
    assert largest_gap(off, one) > 1e-4  # there was something to reduce
