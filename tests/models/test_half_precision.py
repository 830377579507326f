"""The step in half precision: a scaler that overflows, bfloat16."""
import pytest
import torch
from norm_toy import make_batch, make_model
from toy import make_samples, total_of

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher


def take_steps(dtype, order='first', init_scale=None, count=3):
    """Losses, student and teacher after some steps under autocast."""
    model = make_model().float()
    teacher = WeightAverageTeacher(model, ema_decay=0.9)
    scaler = torch.amp.GradScaler(
        'cpu', init_scale=init_scale or 1.0, enabled=init_scale is not None)
    model.lookahead = LookAhead(0.1, order, loss_scale=scaler.get_scale)
    model.distiller = Distiller(teacher.module.fused_prob, 1.0)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1)
    totals = []
    for seed in range(count):
        inputs, labels, _ = make_batch(seed)
        with torch.autocast('cpu', dtype=dtype or torch.bfloat16,
                            enabled=dtype is not None):
            losses = model({m: x[:, None].float() for m, x in
                            inputs.items()}, make_samples(labels),
                           mode='loss')
        assert all(v.dtype == torch.float32 for v in losses.values())
        optimizer.zero_grad()
        totals.append(total_of(losses).item())
        scaler.scale(total_of(losses)).backward()
        scaler.step(optimizer)
        scaler.update()
        teacher.update_parameters(model)
    return totals, model, teacher, scaler


def all_finite(model):
    return all(t.isfinite().all() for t in model.state_dict().values()
               if t.is_floating_point())


@pytest.mark.parametrize('order', ['first', 'second', 'penalty'])
def test_an_overflowing_scale_spoils_nothing(order):
    """Dynamic scaling begins with a scale that overflows, then halves it.

    The step is skipped; running statistics, the teacher and the next losses
    must not know of it.
    """
    totals, model, teacher, scaler = take_steps(
        torch.float16, order, init_scale=2.0**24)
    assert scaler.get_scale() < 2.0**24  # it did overflow
    assert all_finite(model) and all_finite(teacher.module)
    assert torch.isfinite(torch.tensor(totals)).all()


def test_the_scale_cancels():
    """With a scale that fits, the step is nearly the one in float32."""
    totals, model, _, scaler = take_steps(
        torch.float16, init_scale=2.0**8)
    expected, reference, _, _ = take_steps(None)
    assert scaler.get_scale() == 2.0**8
    assert totals == pytest.approx(expected, rel=5e-3)
    for a, b in zip(model.parameters(), reference.parameters(),
                    strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-3)


def test_a_nan_without_a_scaler_is_not_hidden():
    """Without a scale a bad gradient shows in the loss, at once."""
    model = make_model()
    model.lookahead = LookAhead(0.1)
    inputs, labels, _ = make_batch(0)
    inputs['video'][0] = float('nan')
    losses = model({m: x[:, None] for m, x in inputs.items()},
                   make_samples(labels), mode='loss')
    assert losses['loss_cls'].isnan()


def test_bfloat16():
    totals, model, teacher, _ = take_steps(torch.bfloat16)
    expected, _, _, _ = take_steps(None)
    assert totals == pytest.approx(expected, rel=3e-2)
    assert totals != expected
    assert all_finite(model) and all_finite(teacher.module)
