"""Checks of float16: the loss scaler and the look-ahead under it."""
import torch
from common import Setting, build_model, fresh, make_batch
from measure import all_finite, math_mode, relative_error, state_copy
from stepping import Trainer
from torch import Tensor, nn

SCALE = 2.0**14
TOO_LARGE = 2.0**40
# Of the inner gradient's length. Rounding in the forward pass is magnified by
# BatchNorm over few clips; a scale that is not divided out again is off by
# orders of magnitude.
TOLERANCE = 0.15


def small_batch(setting: Setting) -> dict:
    """Enough clips for a check."""
    return make_batch(setting, min(setting.batch, 8))


def inner_gradients_in_half(setting: Setting) -> tuple[bool, dict]:
    """float16's inner gradients are float32's, under a large scale."""
    model = build_model(setting, dropout=0.0)
    batch = small_batch(setting)
    with math_mode('fp32'):
        expected = inner_gradients(setting, fresh(model), batch, 'fp32')
    found = {scale: inner_gradients(setting, fresh(model), batch, 'fp16',
                                    scale) for scale in (SCALE, 1.0)}
    errors = {f'scale {scale:g}': relative_error(grads, expected)
              for scale, grads in found.items()}
    zeros = {f'scale {scale:g}': share_of_zeros(grads)
             for scale, grads in found.items()}
    zeros['float32'] = share_of_zeros(expected)
    error = errors[f'scale {SCALE:g}']
    return error <= TOLERANCE, dict(
        relative_error=errors, tolerance=TOLERANCE, share_of_zeros=zeros)


def inner_gradients(setting: Setting, model: nn.Module, batch: dict,
                    precision: str, scale: float | None = None
                    ) -> dict[str, Tensor]:
    """The inner step that one training step takes, over inner_lr."""
    trainer = Trainer(setting, model, precision=precision, inner_lr=1.0,
                      loss_scale=scale and dict(init_scale=scale))
    steps = watch_inner_steps(trainer)
    trainer.step(batch)
    return steps[0]


def watch_inner_steps(trainer: Trainer) -> list[dict[str, Tensor]]:
    """A list that gets theta - theta' of each training step."""
    model, seen = trainer.model, []
    second_pass = model._second_pass

    def watched(trunk, fast):
        theta = model.encoder_params()
        seen.append({f'{m}.{n}': (theta[m][n] - fast[m][n]).detach()
                     for m in theta for n in theta[m]})
        return second_pass(trunk, fast)

    model._second_pass = watched
    return seen


def share_of_zeros(grads: dict[str, Tensor]) -> float:
    """Of all entries; float16 flushes what is too small to zero."""
    zeros = sum(int((g == 0).sum()) for g in grads.values())
    return zeros / sum(g.numel() for g in grads.values())


def overflow(setting: Setting) -> tuple[bool, dict]:
    """A scale that overflows: no look-ahead, no step, nothing spoilt."""
    trainer = Trainer(setting, build_model(setting), precision='fp16',
                      loss_scale=dict(init_scale=TOO_LARGE))
    steps = watch_inner_steps(trainer)
    before = {n: p.detach().clone()
              for n, p in trainer.model.named_parameters()}
    log = trainer.step(small_batch(setting))
    moved = [n for n, p in trainer.model.named_parameters()
             if not torch.equal(p, before[n])]
    longest = max(float(d.abs().max()) for d in steps[0].values())
    evidence = dict(
        scale_before=TOO_LARGE, scale_after=trainer.scaler.get_scale(),
        longest_inner_step=longest, parameters_moved=len(moved),
        loss=float(log['loss'].detach()),
        student_finite=all_finite(trainer.model),
        teacher_finite=all_finite(trainer.teacher.module))
    passed = (evidence['scale_after'] < TOO_LARGE and longest == 0
              and not moved and evidence['student_finite']
              and evidence['teacher_finite']
              and bool(torch.isfinite(log['loss'])))
    return passed, evidence


def training(setting: Setting) -> tuple[bool, dict]:
    """Twenty steps in float16 on one batch lower the cross-entropies."""
    trainer = Trainer(setting, build_model(setting, dropout=0.0),
                      precision='fp16')
    batch, losses = small_batch(setting), []
    for _ in range(20):
        log = trainer.step(batch)
        losses.append(sum(float(v.detach()) for n, v in log.items()
                          if n.startswith('loss_') and 'distill' not in n))
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    finite = all_finite(trainer.model) and all_finite(trainer.teacher.module)
    return finite and last < first, dict(
        first_five=first, last_five=last, finite=finite,
        scale=trainer.scaler.get_scale())


def batch_trunk_overflow(setting: Setting) -> tuple[bool, dict]:
    """The same overflow with a trunk on batch statistics, then good steps."""
    model = build_model(setting, 'MBCD batch')
    trainer = Trainer(setting, model, 'MBCD batch', 'fp16',
                      dict(init_scale=TOO_LARGE, backoff_factor=2.0**-26))
    before = state_copy(model)
    totals = [float(trainer.step(small_batch(setting))['loss'].detach())
              for _ in range(3)]
    moved = sum(not torch.equal(before[n], t)
                for n, t in model.state_dict().items())
    finite = all_finite(model) and all_finite(trainer.teacher.module)
    good = finite and moved > 0 and all(t == t for t in totals)
    return good, dict(losses=totals, finite=finite, tensors_moved=moved,
                      scale=trainer.scaler.get_scale())
