"""Self-tests of the reference: what everything else is compared with."""
import inspect
import math

import numpy as np
import oracle
import oracle_equations
import oracle_toy
import pytest
import torch

DIMS = dict(video=5, flow=3, audio=4)
PAIR = dict(flow=3, audio=4)


def problem(dims, seed=0):
    """Parameters, a different teacher, a batch, labels and a mask."""
    inputs, labels = oracle.toy_batch(dims, seed=seed)
    return dict(
        params=oracle.toy_params(dims, seed=seed),
        teacher=oracle.toy_params(dims, seed=seed + 50),
        inputs=inputs,
        labels=labels,
        keep_mask=oracle.toy_keep_mask(list(dims), seed=seed),
        modalities=list(dims))


def differ(case, name, direction, eps=1e-5, **kwargs):
    """Central difference of the total along a direction of one tensor."""
    totals = []
    for sign in (1, -1):
        params = dict(case['params'])
        params[name] = params[name] + sign * eps * direction
        totals.append(oracle.step(**{**case, 'params': params},
                                  **kwargs).total)
    return (totals[0] - totals[1]) / (2 * eps)


def test_imports_nothing_of_the_package():
    for module in (oracle, oracle_equations, oracle_toy):
        assert 'mbcd_mmaction' not in inspect.getsource(module)


@pytest.mark.parametrize('order', ['off', 'second', 'penalty'])
def test_gradients_are_finite_differences(order):
    case = problem(PAIR, seed=1)
    kwargs = dict(inner_lr=0.3, order=order, distill_weight=0.7,
                  unimodal_loss_weight=0.4)
    grads = oracle.step(**case, **kwargs).grads
    rng = np.random.RandomState(3)
    assert set(grads) == set(oracle.trainable_names(list(PAIR)))
    for name, grad in grads.items():
        direction = torch.from_numpy(rng.standard_normal(grad.shape))
        expected = differ(case, name, direction, **kwargs)
        assert (grad * direction).sum().item() == pytest.approx(
            expected, rel=1e-6, abs=1e-8), name


def test_first_order_is_the_gradient_with_a_fixed_shift():
    """Not a gradient of the total, but of the total with the shift held."""
    case = problem(PAIR, seed=2)
    kwargs = dict(inner_lr=0.3, order='first', distill_weight=0.7)
    result = oracle.step(**case, **kwargs)
    rng = np.random.RandomState(4)
    free_differs = 0
    for name, grad in result.grads.items():
        direction = torch.from_numpy(rng.standard_normal(grad.shape))
        along = (grad * direction).sum().item()
        held = differ(case, name, direction, inner_grads=result.inner_grads,
                      **kwargs)
        free = differ(case, name, direction, **kwargs)
        assert along == pytest.approx(held, rel=1e-6, abs=1e-8), name
        free_differs += abs(along - free) > 1e-4
    assert free_differs > 0


# Hand-derived gradients, in numpy -------------------------------------------


def encode(p, m, encoder, x):
    """Embedding and what its backward pass needs."""
    h = np.tanh(x @ p[f'{m}.trunk_weight'].T)
    s = np.tanh(h @ encoder['stage_weight'].T + encoder['stage_bias'])
    std = np.sqrt(s.var(1, keepdims=True) + 1e-5)
    unit = (s - s.mean(1, keepdims=True)) / std
    z = unit * encoder['ln_weight'] + encoder['ln_bias']
    return z, (h, s, std, unit, encoder['ln_weight'])


def encode_back(dz, saved):
    h, s, std, unit, scale = saved
    du = dz * scale
    ds = (du - du.mean(1, keepdims=True) -
          unit * (du * unit).mean(1, keepdims=True)) / std
    da = ds * (1 - s**2)
    return dict(stage_weight=da.T @ h, stage_bias=da.sum(0),
                ln_weight=(dz * unit).sum(0), ln_bias=dz.sum(0))


def classify(p, prefix, z):
    hidden = np.maximum(z @ p[f'{prefix}.w1'].T + p[f'{prefix}.b1'], 0)
    logits = hidden @ p[f'{prefix}.w2'].T + p[f'{prefix}.b2']
    exps = np.exp(logits)
    return exps / exps.sum(1, keepdims=True), hidden


def classify_back(p, prefix, z, hidden, dlogits):
    da = (dlogits @ p[f'{prefix}.w2']) * (hidden > 0)
    grads = dict(w1=da.T @ z, b1=da.sum(0), w2=dlogits.T @ hidden,
                 b2=dlogits.sum(0))
    return grads, da @ p[f'{prefix}.w1']


def first_order_by_hand(case, inner_lr, distill_weight, unimodal_weight):
    """Gradients of the first-order step without any autograd."""
    p = {n: v.numpy() for n, v in case['params'].items()}
    names, num = case['modalities'], len(case['labels'])
    target = np.eye(3)[case['labels'].numpy()]
    teacher = {n: v.numpy() for n, v in case['teacher'].items()}
    short = {m: {n: p[f'{m}.{n}'] for n in oracle.ENCODER} for m in names}
    z_teacher = [
        encode(teacher, m, {n: teacher[f'{m}.{n}'] for n in oracle.ENCODER},
               case['inputs'][m].numpy())[0] for m in names
    ]
    t = classify(teacher, 'fusion', np.concatenate(z_teacher, 1))[0]
    grads, moved = {}, {}
    for m in names:
        x = case['inputs'][m].numpy()
        z, saved = encode(p, m, short[m], x)
        prob, hidden = classify(p, m, z)
        _, dz = classify_back(p, m, z, hidden, (prob - target) / num)
        inner = encode_back(dz, saved)
        moved[m] = {n: short[m][n] - inner_lr * inner[n] for n in inner}
        outer = (unimodal_weight * (prob - target) + distill_weight *
                 (prob - t)) / num
        head, dz = classify_back(p, m, z, hidden, outer)
        for n, g in {**head, **encode_back(dz, saved)}.items():
            grads[f'{m}.{n}'] = g
    passes = {m: encode(p, m, moved[m], case['inputs'][m].numpy())
              for m in names}
    mask = {m: case['keep_mask'][m].numpy() for m in names}
    z = np.concatenate([passes[m][0] * mask[m] for m in names], 1)
    prob, hidden = classify(p, 'fusion', z)
    outer = (prob - target + distill_weight * (prob - t)) / num
    head, dz = classify_back(p, 'fusion', z, hidden, outer)
    grads.update({f'fusion.{n}': g for n, g in head.items()})
    for m, part in zip(names, np.split(dz, len(names), 1), strict=True):
        for n, g in encode_back(part * mask[m], passes[m][1]).items():
            grads[f'{m}.{n}'] = grads[f'{m}.{n}'] + g
    return grads


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('inner_lr', [0.0, 0.4])
def test_first_order_equals_hand_derived_gradients(seed, inner_lr):
    case = problem(DIMS, seed=seed)
    result = oracle.step(**case, inner_lr=inner_lr, order='first',
                         distill_weight=0.6, unimodal_loss_weight=0.8)
    expected = first_order_by_hand(case, inner_lr, 0.6, 0.8)
    assert set(result.grads) == set(expected)
    for name, grad in result.grads.items():
        np.testing.assert_allclose(
            grad.numpy(), expected[name], rtol=1e-9, atol=1e-12,
            err_msg=name)


# Orders and switches --------------------------------------------------------


def test_orders_agree_at_inner_lr_zero():
    case = problem(DIMS)
    results = [
        oracle.step(**case, inner_lr=0.0, order=o, distill_weight=1.0)
        for o in oracle.ORDERS
    ]
    for result in results[1:]:
        assert result.total == results[0].total
        for name, grad in result.grads.items():
            torch.testing.assert_close(
                grad, results[0].grads[name], rtol=1e-12, atol=1e-14)


def test_penalty_is_the_second_order_step_to_first_order():
    """The difference shrinks with the square of the step size."""
    case = problem(PAIR, seed=3)

    def gap(inner_lr):
        second, penalty = (
            oracle.step(**case, inner_lr=inner_lr, order=o,
                        distill_weight=0.0) for o in ('second', 'penalty'))
        return math.sqrt(sum(
            float(((second.grads[n] - penalty.grads[n])**2).sum())
            for n in second.grads))

    assert gap(1e-2) / gap(1e-3) == pytest.approx(100, rel=0.1)


def test_mask_hides_a_modality_from_the_fused_loss_only():
    case = problem(DIMS)
    case['keep_mask'] = {
        m: torch.full((4, 1), float(m != 'video')) for m in DIMS
    }
    kwargs = dict(inner_lr=0.2, order='first', distill_weight=1.0)
    without = oracle.step(**case, unimodal_loss_weight=0.0, **{
        **kwargs, 'distill_weight': dict(fused=1.0, unimodal=0.0)})
    for name, grad in without.grads.items():
        if name.startswith('video.'):
            assert not grad.any(), name
    assert not without.grads['fusion.w1'][:, :4].any()
    assert without.grads['fusion.w1'][:, 4:].any()
    assert oracle.step(**case, **kwargs).grads['video.stage_weight'].any()


def test_teacher_is_never_masked():
    case = problem(DIMS)
    kwargs = dict(inner_lr=0.2, order='first', distill_weight=1.0)
    masked = oracle.step(**case, **kwargs)
    case['keep_mask'] = {m: torch.ones(1, 1) for m in DIMS}
    whole = oracle.step(**case, **kwargs)
    assert torch.equal(masked.teacher_prob, whole.teacher_prob)
    assert not torch.equal(masked.fused_logits, whole.fused_logits)


def test_loss_terms_add_up():
    case = problem(DIMS)
    weights = dict(fused=0.3, video=0.5, flow=0.7, audio=0.9)
    result = oracle.step(**case, inner_lr=0.2, order='second',
                         distill_weight=weights, unimodal_loss_weight=0.25)
    losses = result.losses
    expected = losses['fused'] + sum(0.25 * losses[m] for m in DIMS) + sum(
        w * losses[f'distill_{n}'] for n, w in weights.items())
    assert result.total == pytest.approx(expected, rel=1e-13)


def test_forward_equals_torch_layers():
    case = problem(DIMS)
    p, parts = case['params'], []
    for m in DIMS:
        h = torch.tanh(case['inputs'][m] @ p[f'{m}.trunk_weight'].T)
        s = torch.tanh(torch.nn.functional.linear(
            h, p[f'{m}.stage_weight'], p[f'{m}.stage_bias']))
        parts.append(torch.nn.functional.layer_norm(
            s, (4, ), p[f'{m}.ln_weight'], p[f'{m}.ln_bias'], 1e-5))
    hidden = torch.relu(torch.cat(parts, 1) @ p['fusion.w1'].T +
                        p['fusion.b1'])
    logits = hidden @ p['fusion.w2'].T + p['fusion.b2']
    torch.testing.assert_close(
        oracle.predict(p, case['inputs'], list(DIMS)), logits.softmax(1),
        rtol=1e-12, atol=0)


def test_unknown_order_is_refused():
    with pytest.raises(ValueError, match='third'):
        oracle.step(**problem(PAIR), inner_lr=0.1, order='third',
                    distill_weight=0.0)


# Closed forms and the run ---------------------------------------------------


@pytest.mark.parametrize('seed', range(3))
def test_quadratic_closed_forms_are_derivatives(seed):
    rng = np.random.RandomState(seed)
    a, b, theta = (torch.from_numpy(rng.standard_normal(4)) for _ in 'abt')
    matrices = []
    for _ in 'AB':
        root = torch.from_numpy(rng.standard_normal((4, 4)))
        matrices.append(root @ root.T)
    mat_a, mat_b = matrices
    lr = 0.1

    def looked_ahead(point):
        own = mat_a @ (point - a)
        return oracle.quadratic(point - lr * own, b, mat_b)

    def penalty(point):
        return -lr * (mat_a @ (point - a)) @ (mat_b @ (point - b))

    def held(point):
        return oracle.quadratic(point - lr * mat_a @ (theta - a), b, mat_b)

    closed = oracle.quadratic_gradients(theta, a, mat_a, b, mat_b, lr)
    scalars = dict(first=held, second=looked_ahead, penalty=penalty)
    eps = 1e-5
    for name, scalar in scalars.items():
        for i, unit in enumerate(torch.eye(4, dtype=torch.float64)):
            slope = (scalar(theta + eps * unit) -
                     scalar(theta - eps * unit)) / (2 * eps)
            assert closed[name][i].item() == pytest.approx(
                slope.item(), rel=1e-6, abs=1e-7)


def run(order='first', steps=20, **kwargs):
    batches = [oracle.toy_batch(DIMS, seed=s) for s in range(4)]
    masks = [oracle.toy_keep_mask(list(DIMS), seed=s) for s in range(5)]
    settings = dict(inner_lr=0.1, distill_weight=0.5, lr=0.05,
                    ema_decay=0.9)
    settings.update(kwargs)
    return oracle.train(oracle.toy_params(DIMS), batches, masks, list(DIMS),
                        order=order, steps=steps, **settings)


def test_train_averages_after_the_update():
    start = oracle.toy_params(DIMS)
    got = run(steps=2)
    name = 'audio.stage_weight'
    first = start[name] - 0.05 * got.results[0].grads[name]
    torch.testing.assert_close(got.students[0][name], first)
    teacher = 0.9 * start[name] + 0.1 * first
    torch.testing.assert_close(got.teachers[0][name], teacher)
    torch.testing.assert_close(
        got.teachers[1][name], 0.9 * teacher + 0.1 * got.students[1][name])
    trunk = 'audio.trunk_weight'
    assert torch.equal(got.students[1][trunk], start[trunk])
    assert torch.equal(got.teachers[1][trunk], start[trunk])


def test_decay_zero_copies_the_student():
    got = run(steps=2, ema_decay=0.0)
    for name, value in got.students[1].items():
        assert torch.equal(got.teachers[1][name], value), name


# Totals of steps 1, 10 and 20; running this file prints them.
GOLDEN = dict(
    off=[10.7793525568, 5.60294790502, 4.55991539583],
    first=[11.2256878919, 5.69976898058, 4.53087335938],
    second=[11.2256878919, 5.63615748901, 4.50709823529],
    penalty=[11.2913458685, 5.70312306343, 4.51244949149])


@pytest.mark.parametrize('order', oracle.ORDERS)
def test_golden_losses(order):
    totals = run(order).totals
    assert len(totals) == 20
    got = [totals[0], totals[9], totals[19]]
    assert got == pytest.approx(GOLDEN[order], rel=1e-9)


if __name__ == '__main__':
    for each in oracle.ORDERS:
        values = run(each).totals
        print(each, [float(f'{values[i]:.12g}') for i in (0, 9, 19)])
