"""Compiled training of models that are not ours: the numbers stay."""
import copy

import pytest
import torch
from foreign_runner import DISTIL, LOOK, make_runner, model_of, train

BOTH = (DISTIL, LOOK)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize('name,hooks,backend', [
    ('two losses', BOTH, 'eager'), ('two losses', BOTH, 'aot_eager'),
    ('STGCN', [DISTIL], 'aot_eager'), ('RGBPose', [DISTIL], 'eager')])
def test_a_compiled_model(tmp_path, name, hooks, backend):
    """Extra losses and numbers as uncompiled."""
    model = model_of(name)
    for module in model.modules():  # compiled code draws other numbers
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    compiled, plain = (
        train(tmp_path / str(i), name, hooks, model=copy.deepcopy(model),
              **cfg)[1].steps
        for i, cfg in enumerate([dict(compile=dict(backend=backend)), {}]))
    graphs = torch._dynamo.utils.counters['stats']['unique_graphs']
    assert graphs > 0
    assert any('distill' in key for key in plain[0])
    assert compiled[1]['loss'] != compiled[0]['loss']
    for a, b in zip(compiled, plain, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize('sequence', [((), BOTH), (BOTH, ())])
def test_compiled_trainings_after_one_another(tmp_path, sequence):
    """Compiled code knows nothing of hooks: none is reused with others."""
    runs = {}
    for i, (hooks, compiled) in enumerate(
            (hooks, c) for hooks in sequence for c in (True, False)):
        model = model_of('two losses')
        model.backbone[3].p = 0.0
        runs[i] = train(
            tmp_path / str(i), 'two losses', hooks, model=model,
            **(dict(compile=dict(backend='eager')) if compiled else {}))[1]
    for first in (0, 2):
        for a, b in zip(runs[first].steps, runs[first + 1].steps,
                        strict=True):
            assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
    assert runs[0].steps != runs[2].steps


def test_compiled_code_follows_epochs_and_ramps(tmp_path):
    hooks = [dict(LOOK, start_epoch=1, end_epoch=2),
             dict(DISTIL, distill_warmup_epochs=2)]
    steps = []
    for i, cfg in enumerate([dict(compile=dict(backend='eager')), {}]):
        model = model_of('two losses')
        model.backbone[3].p = 0.0
        steps.append(train(tmp_path / str(i), 'two losses', hooks, epochs=3,
                           model=model, **cfg)[1].steps)
    for a, b in zip(*steps, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
    assert steps[0][0]['loss_distill'] == 0 < steps[0][1]['loss_distill']


@pytest.mark.parametrize('order', ['second', 'penalty', 'cosine'])
def test_compiling_what_is_differentiated_twice_is_refused(tmp_path, order):
    runner = make_runner(tmp_path, 'two losses', [dict(LOOK, order=order)],
                         compile=True)
    with pytest.raises(ValueError, match="compile.*use order='first'"):
        runner.train()
