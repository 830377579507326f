"""Options of the frozen trunk in a training step of the recognizer."""
import pytest
import torch
from norm_toy import make_batch, make_model, train
from toy import make_samples, total_of

from mbcd_mmaction.models import Distiller, LookAhead, WeightAverageTeacher
from mbcd_mmaction.models.frozen_trunk import FrozenTrunk

CLOSE = dict(rtol=1e-10, atol=1e-10)
EAGER = dict(backend='eager')


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def run_mbcd(model):
    """What three steps log; student and teacher after them."""
    teacher = WeightAverageTeacher(model, ema_decay=0.8)
    model.lookahead = LookAhead(0.3)
    model.distiller = Distiller(teacher.module.fused_prob, 0.7)
    logged = train(model, teacher, torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1))
    return logged, model.state_dict(), teacher.state_dict()


@pytest.mark.parametrize('trunk', [
    dict(fold_norm=True), dict(compile=EAGER),
    dict(fold_norm=True, compile=EAGER)], ids=str)
def test_training_with_the_teacher(trunk):
    model = make_model(trunk=trunk)
    expected, got = run_mbcd(make_model()), run_mbcd(model)
    for a, b in zip(got[0], expected[0], strict=True):
        assert a == pytest.approx(b, rel=1e-10)
    for a, b in zip(got[1:], expected[1:], strict=True):
        assert list(a) == list(b)
        for name, value in b.items():
            torch.testing.assert_close(a[name], value, **CLOSE)
    if 'fold_norm' in trunk:
        built = {b.frozen_trunk.folded.times_built
                 for b in model.branches.values()}
        assert built == {1}  # and none for the teacher


def test_a_branch_may_differ():
    model = make_model(trunk=dict(fold_norm=True),
                       branches=dict(audio=dict(trunk=None)))
    assert isinstance(model.branches['video'].frozen_trunk, FrozenTrunk)
    assert model.branches['audio'].frozen_trunk is None
    with pytest.raises(ValueError, match="trunk of branch 'audio': .*none"):
        make_model(trunk=dict(compile=True),
                   branches=dict(audio=dict(trunk_stages=-1)))


def test_within_a_compiled_step():
    """MMEngine compiles the whole model's forward."""
    torch._dynamo.utils.counters.clear()
    inputs, labels, _ = make_batch(0)
    args = ({m: x[:, None] for m, x in inputs.items()},
            make_samples(labels))
    expected = total_of(make_model()(*args, mode='loss'))
    model = make_model(trunk=dict(fold_norm=True, compile=EAGER))
    model.forward = torch.compile(model.forward, backend='eager')
    for _ in range(2):
        losses = model(*args, mode='loss')
        torch.testing.assert_close(total_of(losses), expected, **CLOSE)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0
