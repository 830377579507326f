"""Two processes take the step that one takes: gloo on the CPU, float64.

Both processes are started once and run every case; each case is two
optimizer steps through the real MMDistributedDataParallel and OptimWrapper.
"""
from types import SimpleNamespace

import oracle
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, DefaultScope
from toy import FixedMask, make_recognizer, make_samples

from mbcd_mmaction.engine.hooks import WATeacherDistillHook
from mbcd_mmaction.functional import average_across_ranks
from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher

DIMS = {'video': 6, 'flow': 3, 'audio': 5}
CLIPS, WORLD, STEPS = 8, 2, 2
INNER_LR = 0.3
TOL = 1e-10

# name: (order of the look-ahead, other settings)
CASES = {
    'off': ('off', {}),
    'first': ('first', {}),
    'second': ('second', {}),
    'penalty': ('penalty', {}),
    'cosine': ('cosine', {}),
    'first, inner gradient of each rank alone': ('first', dict(sync=False)),
    'second, accumulated': ('second', dict(accumulate=2)),
    'first, a modality gone on one rank': ('first', dict(gone=True)),
}


def batch_of(step, gone):
    """All clips of a step: inputs, labels and masks drawn beforehand."""
    inputs, labels = oracle.toy_batch(DIMS, CLIPS, seed=step)
    mask = oracle.toy_keep_mask(list(DIMS), CLIPS, seed=step)
    if gone:
        mask['video'][:CLIPS // WORLD] = 0  # the first rank's clips
    return inputs, labels, mask


def run_case(order, rows, wrap, sync=True, accumulate=1, gone=False):
    """The gradients of each step, then the weights, of these rows."""
    model = make_recognizer(DIMS).train()
    teacher = WeightAverageTeacher(model, ema_decay=0.9)
    if order != 'off':
        model.lookahead = LookAhead(INNER_LR, order, sync_inner_grad=sync)
    model.distiller = Distiller(teacher.module.fused_prob, 0.7)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(trained.values(), lr=0.2)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(
        {n: p.grad.clone() for n, p in trained.items()}))
    wrapped = wrap(model)
    optim_wrapper = OptimWrapper(optimizer, accumulative_counts=accumulate)
    optim_wrapper.initialize_count_status(wrapped, 0, STEPS * accumulate)
    for step in range(STEPS * accumulate):
        inputs, labels, mask = batch_of(step, gone)
        model.modality_dropout = FixedMask(
            {m: x[rows] for m, x in mask.items()})
        wrapped.train_step(
            dict(inputs={m: x[rows, None] for m, x in inputs.items()},
                 data_samples=make_samples(labels[rows])), optim_wrapper)
        if optim_wrapper.should_update():
            teacher.update_parameters(model)
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    averages = {n: p.clone() for n, p in teacher.module.named_parameters()}
    return [*seen, weights, averages]


def statistics_after_an_epoch(rank):
    """The teacher's running statistics, other ones on each rank before."""
    hook = WATeacherDistillHook()
    hook.src_model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    hook.ema_model = WeightAverageTeacher(hook.src_model)
    statistics = hook.ema_model.module[0].running_mean
    found = []
    # the epoch's end, a validation of an iteration-based loop, and one that
    # no step has come before
    for join, joined in ((hook.after_train_epoch, False),
                         (hook.before_val_epoch, False),
                         (hook.before_val_epoch, True)):
        hook.joined = joined
        statistics.fill_(float(rank))
        join(None)
        hook._place_student()
        found.append(statistics.tolist())
    return found


def buffers_after_an_epoch(rank):
    """What the hook that averages buffers leaves of other ones on each rank:
    of a norm that trains, of one that stays in eval mode, and of a
    preprocessor."""
    model = torch.nn.ModuleDict(dict(
        moves=torch.nn.BatchNorm1d(2), frozen=torch.nn.BatchNorm1d(2),
        data_preprocessor=torch.nn.Module()))
    model.frozen.train = lambda mode=True: torch.nn.Module.train(
        model.frozen, False)
    model.train()
    model.data_preprocessor.register_buffer('mean', torch.zeros(2))
    runner = SimpleNamespace(model=model)
    with DefaultScope.overwrite_default_scope('mmaction'):
        hook = HOOKS.build(dict(type='SyncBuffersHook'))
    found = []
    # the epoch's end, the validation after it, and one within an epoch
    for average in (hook.after_train_epoch, hook.before_val_epoch,
                    hook.before_val_epoch):
        buffers = (model.moves.running_mean, model.frozen.running_mean,
                   model.data_preprocessor.mean)
        for buffer in buffers:
            buffer.fill_(float(rank))
        average(runner)
        found.append([float(buffer[0]) for buffer in buffers])
    return found


def averaged(rank):
    """The mean gradient, and the gradient that flows back through it."""
    grads = {'a': torch.full((2, 3), 1.0 + rank, requires_grad=True),
             'b': torch.full((1, ), 10.0 * rank, requires_grad=True)}
    out = average_across_ranks(grads, differentiable=True)
    loss = (rank + 1) * sum((v**2).sum() for v in out.values())
    back = torch.autograd.grad(loss, list(grads.values()))
    plain = average_across_ranks(grads)
    same = all(torch.equal(plain[n], out[n]) for n in grads)
    assert same and not any(v.requires_grad for v in plain.values())
    return {n: v.detach() for n, v in out.items()}, back


def work(rank, folder):
    """One of the two processes."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/meet', rank=rank,
                            world_size=WORLD)
    share = CLIPS // WORLD
    rows = slice(rank * share, (rank + 1) * share)
    results = {
        name: run_case(order, rows, MMDistributedDataParallel, **kwargs)
        for name, (order, kwargs) in CASES.items()
    }
    results['statistics'] = statistics_after_an_epoch(rank)
    results['buffers'] = buffers_after_an_epoch(rank)
    results['averaged'] = averaged(rank)
    torch.save(results, f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What each process found."""
    folder = tmp_path_factory.mktemp('ddp')
    mp.spawn(work, (str(folder), ), nprocs=WORLD)
    return [torch.load(folder / f'rank{r}.pth') for r in range(WORLD)]


def largest_gap(a, b):
    """Over gradients of both steps, weights and averages."""
    gap = 0.0
    assert len(a) == len(b) == STEPS + 2
    for ours, theirs in zip(a, b, strict=True):
        assert ours.keys() == theirs.keys()
        gap = max(gap, *((ours[n] - theirs[n]).abs().max().item()
                         for n in ours))
    return gap


@pytest.mark.parametrize('name', CASES)
def test_two_processes_equal_one(ranks, name):
    order, kwargs = CASES[name]
    one = run_case(order, slice(None), lambda model: model, **kwargs)
    assert max(g.abs().max().item() for g in one[0].values()) > 0.1
    # DDP keeps the ranks together, whatever it averages
    assert largest_gap(ranks[0][name], ranks[1][name]) == 0
    gap = largest_gap(ranks[0][name], one)
    if kwargs.get('sync', True):
        assert gap < TOL
    else:  # each rank looked ahead elsewhere
        assert gap > 1e-3


def test_cases_differ():
    """So that the comparisons above tell the orders apart."""
    runs = {order: run_case(order, slice(None), lambda model: model)
            for order in ('off', 'first', 'second', 'penalty', 'cosine')}
    orders = list(runs)
    for i, a in enumerate(orders):
        for b in orders[i + 1:]:
            assert largest_gap(runs[a], runs[b]) > 1e-3, (a, b)


def test_ranks_validate_with_one_teacher(ranks):
    for number, rank in enumerate(ranks):
        assert rank['statistics'] == [[0.5, 0.5]] * 2 + [[number] * 2]


def test_constant_buffers_are_left_alone(ranks):
    """Their mean over ranks can be another number, by rounding alone."""
    for number, rank in enumerate(ranks):
        assert rank['buffers'] == [[0.5, number, number], [number] * 3,
                                   [0.5, number, number]]


def test_average_across_ranks(ranks):
    """Means of (1, 2) and (0, 10); d loss / d grad by hand.

    The ranks' losses are 1 and 2 times the sum of squares of the mean m:
    each rank's own gradient gets (1 + 2) * 2 m / 2 per element.
    """
    for rank in ranks:
        mean, back = rank['averaged']
        assert (mean['a'] == 1.5).all() and mean['a'].shape == (2, 3)
        assert (mean['b'] == 5.0).all()
        assert (back[0] == 3 * 1.5).all() and (back[1] == 3 * 5.0).all()


def test_one_process_averages_nothing():
    grads = {'a': torch.ones(2)}
    assert average_across_ranks(grads)['a'] is grads['a']
