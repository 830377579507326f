"""Independent reference for the whole training step, float64, plain loops.

Nothing of the package is imported here.  ``step`` is Eq. 2-6, 8 and 9 on the
toy network of oracle_toy.py, ``train`` some steps of plain SGD with Eq. 7
after each.  The single equations and the closed forms on a quadratic, from
oracle_equations.py, can be had from here too.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from oracle_equations import (
    Params,
    confidence,
    cross_entropy,
    dominance_ratio,
    drop_prob,
    dsu_statistics,
    fast_weights,
    inner_product,
    kl_divergence,
    quadratic,
    quadratic_gradients,
    softmax_row,
    weight_average,
)
from oracle_toy import (
    ENCODER,
    HEAD,
    embed,
    encoder_of,
    fused_logits,
    head,
    predict,
    toy_batch,
    toy_keep_mask,
    toy_params,
    trainable_names,
)
from torch import Tensor

__all__ = [
    'ENCODER', 'HEAD', 'ORDERS', 'Params', 'StepResult', 'Trajectory',
    'confidence', 'cross_entropy', 'dominance_ratio', 'drop_prob',
    'dsu_statistics', 'embed', 'encoder_of', 'fast_weights', 'fused_logits',
    'head', 'inner_product', 'kl_divergence', 'predict', 'quadratic',
    'quadratic_gradients', 'softmax_row', 'step', 'toy_batch',
    'toy_keep_mask', 'toy_params', 'train', 'trainable_names',
    'weight_average'
]

ORDERS = ('off', 'first', 'second', 'penalty')

Weight = float | Mapping[str, float]


@dataclass
class StepResult:
    """What one step computes; losses are floats, before any weight."""
    losses: dict[str, float]  # 'fused', modalities, 'distill_*', 'penalty'
    total: float
    confidence: dict[str, float]
    dominance_ratio: dict[str, float]
    drop_prob: dict[str, float]
    inner_grads: dict[str, Params]  # modality -> short name -> tensor
    fast_weights: dict[str, Params]
    unimodal_logits: dict[str, Tensor]
    fused_logits: Tensor
    teacher_prob: Tensor
    grads: Params = field(default_factory=dict)


def step(params: Params,
         teacher: Params,
         inputs: Mapping[str, Tensor],
         labels: Tensor,
         keep_mask: Mapping[str, Tensor],
         modalities: Sequence[str],
         inner_lr: float,
         order: str,
         distill_weight: Weight,
         unimodal_loss_weight: float = 1.0,
         base_drop_prob: float = 0.0,
         inner_grads: Mapping[str, Params] | None = None) -> StepResult:
    """One training step at the given parameters (Eq. 2-6, 8, 9).

    Args:
        params: student, flat dict; not changed.
        teacher: averaged student, same names; gets no gradient.
        inputs: modality -> (N, I_m).
        labels: (N,) class indices.
        keep_mask: modality -> (N, 1) or (1, 1) of 0 and 1, drawn outside.
        modalities: names, in the order of concatenation.
        inner_lr: step size of Eq. 5, or weight of the Eq. 6 penalty.
        order: 'off', 'first', 'second' or 'penalty'.
        distill_weight: one float, or a dict with 'fused' and either every
            modality or 'unimodal'.
        unimodal_loss_weight: weight of the uni-modal cross-entropies in the
            total; Eq. 5 always uses the cross-entropy with weight 1.
        base_drop_prob: floor of Eq. 4 where a modality dominates.
        inner_grads: constants to use in Eq. 5 in place of the gradients at
            ``params``; with them 'first' becomes a true scalar function.
    """
    if order not in ORDERS:
        raise ValueError(f'order must be one of {ORDERS}: got {order!r}')
    params = {
        n: p.detach().double().clone().requires_grad_('trunk' not in n)
        for n, p in params.items()
    }
    inputs = {m: inputs[m].double() for m in modalities}
    encoders = {m: encoder_of(params, m) for m in modalities}
    losses, logits = {}, {}
    for m in modalities:
        z = embed(params, encoders[m], m, inputs[m])
        logits[m] = head(params, m, z)
        losses[m] = cross_entropy(logits[m], labels)
    scores = confidence(logits)
    ratios = dominance_ratio(scores)

    own = {m: _grads(losses[m], encoders[m], order) for m in modalities}
    moved = dict(encoders)
    if order in ('first', 'second'):
        used = own if inner_grads is None else inner_grads
        moved = {
            m: fast_weights(encoders[m], used[m], inner_lr)
            for m in modalities
        }
    fused = fused_logits(params, moved, inputs, keep_mask, modalities)
    losses['fused'] = cross_entropy(fused, labels)
    teacher_prob = predict(
        {n: p.detach().double() for n, p in teacher.items()}, inputs,
        modalities)
    losses['distill_fused'] = kl_divergence(teacher_prob, fused)
    for m in modalities:
        losses[f'distill_{m}'] = kl_divergence(teacher_prob, logits[m])

    total = losses['fused']
    for m in modalities:
        total = total + unimodal_loss_weight * losses[m]
    for term in ['fused', *modalities]:
        total = total + _weight_of(distill_weight, term) * (
            losses[f'distill_{term}'])
    if order == 'penalty':
        losses['penalty'] = total.new_zeros(())
        for m in modalities:
            shared = _grads(losses['fused'], encoders[m], order)
            losses['penalty'] = losses['penalty'] - inner_lr * (
                inner_product(own[m], shared))
        total = total + losses['penalty']

    names = trainable_names(modalities)
    return StepResult(
        losses={n: v.item() for n, v in losses.items()},
        total=total.item(),
        confidence=scores,
        dominance_ratio=ratios,
        drop_prob=drop_prob(ratios, base_drop_prob),
        inner_grads={m: _detached(own[m]) for m in modalities},
        fast_weights={m: _detached(moved[m]) for m in modalities},
        unimodal_logits=_detached(logits),
        fused_logits=fused.detach(),
        teacher_prob=teacher_prob,
        grads=_grads(total, {n: params[n] for n in names}, 'off'))


def _grads(loss: Tensor, params: Params, order: str) -> Params:
    """Gradients with zeros where unused; differentiable only if needed."""
    keep_graph = order in ('second', 'penalty')
    values = torch.autograd.grad(
        loss, list(params.values()), retain_graph=True,
        create_graph=keep_graph, allow_unused=True)
    return {
        n: torch.zeros_like(p) if g is None else g
        for (n, p), g in zip(params.items(), values, strict=True)
    }


def _detached(tensors: Params) -> Params:
    return {n: t.detach().clone() for n, t in tensors.items()}


def _weight_of(distill_weight: Weight, term: str) -> float:
    if not isinstance(distill_weight, Mapping):
        return distill_weight
    if term in distill_weight or term == 'fused':
        return distill_weight[term]
    return distill_weight['unimodal']


# Training run ---------------------------------------------------------------


@dataclass
class Trajectory:
    """One entry per optimizer step."""
    results: list[StepResult] = field(default_factory=list)
    students: list[Params] = field(default_factory=list)
    teachers: list[Params] = field(default_factory=list)

    @property
    def totals(self) -> list[float]:
        """Total loss of each step, before that step's update."""
        return [r.total for r in self.results]


def train(params: Params,
          batches: Sequence[tuple[Mapping[str, Tensor], Tensor]],
          keep_masks: Sequence[Mapping[str, Tensor]],
          modalities: Sequence[str],
          inner_lr: float,
          order: str,
          distill_weight: Weight,
          lr: float,
          ema_decay: float,
          steps: int,
          unimodal_loss_weight: float = 1.0) -> Trajectory:
    """Plain SGD, then Eq. 7 after every optimizer step.

    The teacher starts equal to the student and stays so in its trunks.
    Step t takes batch and mask t, from the start again when they run out.
    """
    student = {n: p.detach().double().clone() for n, p in params.items()}
    teacher = {n: p.clone() for n, p in student.items()}
    names = trainable_names(modalities)
    trajectory = Trajectory()
    for t in range(steps):
        inputs, labels = batches[t % len(batches)]
        result = step(student, teacher, inputs, labels,
                      keep_masks[t % len(keep_masks)], modalities, inner_lr,
                      order, distill_weight, unimodal_loss_weight)
        student = dict(student)
        for n in names:
            student[n] = student[n] - lr * result.grads[n]
        teacher = dict(teacher)
        teacher.update(weight_average(
            {n: teacher[n] for n in names},
            {n: student[n] for n in names}, ema_decay))
        trajectory.results.append(result)
        trajectory.students.append(student)
        trajectory.teachers.append(teacher)
    return trajectory
