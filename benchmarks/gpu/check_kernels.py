"""Checks of compiled trunks, determinism, Adam, the average and waiting."""
import os
import time
import warnings

import torch
from common import NotAvailable, Setting, build_model, fresh, make_batch
from measure import (
    interleaved,
    largest_difference,
    math_mode,
    quartiles,
    relative_error,
    state_copy,
)
from mmengine.runner import set_random_seed
from stepping import Trainer
from torch import Tensor, nn

from mbcd_mmaction.models.branch import Branch

COMPILE_TOLERANCE = 1e-3  # of the features' length
ADAM_TOLERANCE = 1e-5  # of what the steps moved
AVERAGE_SHARE = 0.01  # of a step
STEPS = 3


def compiled_trunk(setting: Setting) -> tuple[bool, dict]:
    """torch.compile with CUDA graphs gives the eager trunk's features."""
    model = build_model(setting)
    options = (dict(mode='reduce-overhead') if setting.cuda
               else dict(backend='aot_eager'))
    evidence: dict = dict(options=options, tolerance=COMPILE_TOLERANCE,
                          relative_error={}, seconds_to_compile={})
    with math_mode('fp32'), torch.no_grad():
        for name, branch in model.branches.items():
            if not setting.cuda and name != 'audio':
                continue  # on a CPU a trial will do
            start = time.monotonic()
            evidence['relative_error'][name] = compile_error(
                setting, name, branch, model, options)
            evidence['seconds_to_compile'][name] = time.monotonic() - start
    torch.compiler.reset()
    worst = max(evidence['relative_error'].values())
    return worst <= COMPILE_TOLERANCE, evidence


def compile_error(setting: Setting, name: str, branch: Branch,
                  model: nn.Module, options: dict) -> float:
    """The largest relative error over four batches.

    CUDA graphs run the first batches eagerly, then record, then replay.
    """
    trunk = torch.compile(
        lambda x: branch.stages.trunk(branch.backbone, x), **options)
    worst = 0.0
    for seed in range(4):
        batch = model.data_preprocessor(make_batch(setting, 2, seed), True)
        x = batch['inputs'][name].flatten(0, 1)
        expected = named(branch.trunk(x))
        if setting.cuda:
            torch.compiler.cudagraph_mark_step_begin()
        worst = max(worst, relative_error(named(trunk(x)), expected))
    return worst


def named(features) -> dict[str, Tensor]:
    """Features of one or several pathways, by number."""
    if isinstance(features, Tensor):
        features = (features, )
    return {str(i): x.clone() for i, x in enumerate(features)}


def deterministic_steps(setting: Setting) -> tuple[bool, dict]:
    """``randomness=dict(deterministic=True)``: two runs are bit-equal.

    Evidence beside it: whether plain runs differ, and with
    ``cudnn_benchmark=True``.
    """
    if setting.cuda and 'CUBLAS_WORKSPACE_CONFIG' not in os.environ:
        raise NotAvailable('set CUBLAS_WORKSPACE_CONFIG=:4096:8')
    model = build_model(setting)
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    evidence = {}
    try:
        for name, benchmark in (('plain', False), ('benchmark', True)):
            cudnn.benchmark = benchmark
            a, b = (seeded_steps(setting, model, False) for _ in range(2))
            evidence[f'difference_{name}'] = largest_difference(a, b)
        a, b = (seeded_steps(setting, model, True) for _ in range(2))
        evidence['difference_deterministic'] = largest_difference(a, b)
    finally:
        torch.use_deterministic_algorithms(False)
        cudnn.deterministic, cudnn.benchmark = before
    same = all(torch.equal(a[n], b[n]) for n in a)
    return same, dict(evidence, bit_equal=same, steps=STEPS)


def seeded_steps(setting: Setting, model: nn.Module,
                 deterministic: bool) -> dict[str, Tensor]:
    """All weights after some steps from the same start."""
    trainer = Trainer(setting, fresh(model))
    set_random_seed(3, deterministic=deterministic)
    batch = make_batch(setting, min(setting.batch, 4))
    for _ in range(STEPS):
        trainer.step(batch)
    return state_copy(trainer.model)


def fused_adam(setting: Setting) -> tuple[bool, dict]:
    """Adam(fused=True) moves the weights as Adam does, but for rounding."""
    model = build_model(setting)
    start = [p.detach() for p in model.parameters() if p.requires_grad]
    moved, calls = {}, {}
    for name in ('default', 'fused'):
        params = [p.clone().requires_grad_() for p in start]
        optimizer = torch.optim.Adam(
            params, lr=1e-4, weight_decay=1e-4,
            **(dict(fused=True) if name == 'fused' else {}))
        generator = torch.Generator(setting.device).manual_seed(0)
        for _ in range(STEPS):
            for p in params:
                p.grad = torch.randn(p.shape, generator=generator,
                                     device=setting.device)
            optimizer.step()
        moved[name] = {str(i): (p - q).detach() for i, (p, q) in
                       enumerate(zip(params, start, strict=True))}
        calls[name] = optimizer.step
    error = relative_error(moved['fused'], moved['default'])
    times = interleaved(setting, calls, setting.rounds)
    return error <= ADAM_TOLERANCE, dict(
        relative_error=error, tolerance=ADAM_TOLERANCE,
        seconds={n: quartiles(t) for n, t in times.items()})


def average_share(setting: Setting) -> tuple[bool, dict]:
    """The teacher's average takes at most a hundredth of the step."""
    trainer = Trainer(setting, build_model(setting))
    batch = make_batch(setting)
    for _ in range(2):
        trainer.step(batch)
    times = interleaved(setting, dict(
        step=lambda: trainer.step(batch),
        average=lambda: trainer.teacher.update_parameters(trainer.model),
    ), setting.rounds)
    share = quartiles([a / s for a, s in zip(
        times['average'], times['step'], strict=True)])
    evidence = dict(share=share, limit=AVERAGE_SHARE, seconds={
        n: quartiles(t) for n, t in times.items()})
    if setting.tiny:
        raise NotAvailable('the share means nothing at tiny size; found '
                           f'{share["median"]:.3f}')
    return share['median'] <= AVERAGE_SHARE, evidence


def waiting(setting: Setting) -> tuple[bool, dict]:
    """MBCD's step has the host wait for the GPU no more often than ERM's.

    Counted by ``torch.cuda.set_sync_debug_mode``, in float32 (a loss scaler
    asks for its scale).
    """
    if not setting.cuda:
        raise NotAvailable('without a GPU nothing waits for one')
    found = {name: waits_of(setting, name) for name in ('ERM', 'MBCD frozen')}
    counts = {name: sum(places.values()) for name, places in found.items()}
    return counts['MBCD frozen'] <= counts['ERM'], dict(
        waits=counts, places=found)


def waits_of(setting: Setting, method: str) -> dict[str, int]:
    """Where and how often one step waits."""
    trainer = Trainer(setting, build_model(setting, method), method)
    batch = make_batch(setting, min(setting.batch, 4))
    for _ in range(2):
        trainer.step(batch)
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            trainer.step(batch)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    places: dict[str, int] = {}
    for item in caught:
        if 'synchroniz' in str(item.message):
            place = '/'.join(item.filename.split(os.sep)[-2:])
            key = f'{place}:{item.lineno}'
            places[key] = places.get(key, 0) + 1
    return places
