"""Each equation of the method once more, in float64 and with plain loops.

Nothing of the package is imported here: sample by sample and class by class,
so that the package's vectorised version has something to be compared with.
Shapes: N clips, K classes, C channels.
"""
import math
from collections.abc import Mapping

import torch
from torch import Tensor

Params = dict[str, Tensor]


def softmax_row(row: Tensor) -> Tensor:
    """Softmax of one row of logits (K,), shifted by its maximum."""
    top = max(float(v.detach()) for v in row)
    exps = [torch.exp(v - top) for v in row]
    return torch.stack(exps) / sum(exps)


def log_softmax_row(row: Tensor) -> Tensor:
    """Logarithm of the softmax of one row of logits (K,)."""
    top = max(float(v.detach()) for v in row)
    log_sum = torch.log(sum(torch.exp(v - top) for v in row))
    return torch.stack([v - top - log_sum for v in row])


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Batch mean of -log softmax(logits)[label]; logits (N, K)."""
    total = logits.new_zeros(())
    for row, label in zip(logits, labels, strict=True):
        total = total - log_softmax_row(row)[int(label)]
    return total / len(labels)


def confidence(logits: Mapping[str, Tensor]) -> dict[str, float]:
    """Eq. 2: sum over the batch of the largest softmax value."""
    scores = {}
    for name, value in logits.items():
        score = 0.0
        for row in value.detach().double().tolist():
            top = max(row)
            score += 1.0 / sum(math.exp(v - top) for v in row)
        scores[name] = score
    return scores


def dominance_ratio(scores: Mapping[str, float]) -> dict[str, float]:
    """Eq. 3: mean over the other modalities of s_k / s_j."""
    ratios = {}
    for name, score in scores.items():
        others = [score / s for n, s in scores.items() if n != name]
        ratios[name] = sum(others) / len(others)
    return ratios


def drop_prob(ratios: Mapping[str, float],
              base_drop_prob: float = 0.0) -> dict[str, float]:
    """Eq. 4: tanh(max(r - 1, 0)), with an optional floor where r > 1."""
    probs = {}
    for name, ratio in ratios.items():
        probs[name] = 0.0
        if ratio > 1:
            probs[name] = (
                base_drop_prob + (1 - base_drop_prob) * math.tanh(ratio - 1))
    return probs


def fast_weights(params: Params, grads: Params, inner_lr: float) -> Params:
    """Eq. 5: one plain gradient step, tensor by tensor."""
    return {n: p - inner_lr * grads[n] for n, p in params.items()}


def inner_product(grads_a: Params, grads_b: Params) -> Tensor:
    """<g_a, g_b> summed over every entry of every tensor."""
    total = torch.zeros((), dtype=torch.float64)
    for name in grads_a:
        flat_a, flat_b = grads_a[name].flatten(), grads_b[name].flatten()
        for a, b in zip(flat_a, flat_b, strict=True):
            total = total + a * b
    return total


def weight_average(averaged: Params, source: Params,
                   ema_decay: float) -> Params:
    """Eq. 7: ema_decay * averaged + (1 - ema_decay) * source."""
    return {
        n: ema_decay * averaged[n] + (1 - ema_decay) * source[n]
        for n in averaged
    }


def kl_divergence(teacher_prob: Tensor, student_logits: Tensor) -> Tensor:
    """Eq. 8, one term: batch mean of KL(teacher || softmax(student))."""
    total = student_logits.new_zeros(())
    for target, row in zip(teacher_prob, student_logits, strict=True):
        log_q = log_softmax_row(row)
        for k, p in enumerate(target.detach().tolist()):
            if p > 0:
                total = total + p * (math.log(p) - log_q[k])
    return total / len(teacher_prob)


def dsu_statistics(x: Tensor, eps: float = 1e-6) -> dict[str, Tensor]:
    """DSU statistics of x (N, C, *space), all variances with n - 1.

    Returns mu and sigma (N, C), of one clip and channel over its positions,
    and std_mu and std_sigma (C,), of those over the batch.  eps is added to
    every variance below its root.
    """
    num, channels = x.shape[:2]
    mu = torch.zeros(num, channels, dtype=torch.float64)
    sigma = torch.zeros_like(mu)
    for n in range(num):
        for c in range(channels):
            mu[n, c], sigma[n, c] = _mean_std(x[n, c].reshape(-1), eps)
    pairs = [(_mean_std(mu[:, c], eps)[1], _mean_std(sigma[:, c], eps)[1])
             for c in range(channels)]
    return dict(
        mu=mu, sigma=sigma,
        std_mu=torch.tensor([p[0] for p in pairs], dtype=torch.float64),
        std_sigma=torch.tensor([p[1] for p in pairs], dtype=torch.float64))


def _mean_std(values: Tensor, eps: float) -> tuple[float, float]:
    values = values.detach().double().tolist()
    mean = math.fsum(values) / len(values)
    var = math.fsum((v - mean)**2 for v in values) / (len(values) - 1)
    return mean, math.sqrt(var + eps)


# Closed forms ---------------------------------------------------------------


def quadratic(theta: Tensor, centre: Tensor, matrix: Tensor) -> Tensor:
    """1/2 (theta - centre)^T matrix (theta - centre), matrix symmetric."""
    diff = theta - centre
    return 0.5 * diff @ matrix @ diff


def quadratic_gradients(theta: Tensor, a: Tensor, matrix_a: Tensor,
                        b: Tensor, matrix_b: Tensor,
                        inner_lr: float) -> dict[str, Tensor]:
    """Closed forms for L_k = q(theta; a, A) and L_mm = q(theta; b, B).

    With g_k = A (theta - a) and theta' = theta - inner_lr g_k:
    'first' is grad L_mm at theta', 'second' the gradient of
    L_mm(theta - inner_lr g_k(theta)) and 'penalty' the gradient of
    -inner_lr <g_k, g_mm> alone.  A and B are symmetric.
    """
    own = matrix_a @ (theta - a)
    shared = matrix_b @ (theta - b)
    first = matrix_b @ (theta - inner_lr * own - b)
    return dict(
        first=first,
        second=first - inner_lr * (matrix_a @ first),
        penalty=-inner_lr * (matrix_a @ shared + matrix_b @ own))
