"""Options of the frozen trunk: equal to rounding, or near, and refusals."""
import copy
import pickle

import pytest
import torch
import toy  # noqa: F401  registers ToyBackbone
from mmengine.runner.checkpoint import load_state_dict
from test_stages import FAMILIES
from torch import nn

from mbcd_mmaction.models import Branch
from mbcd_mmaction.models.frozen_trunk import OPTIONS

CLOSE = dict(rtol=1e-10, atol=1e-10)
EAGER = dict(backend='eager')
ALL = dict(fold_norm=True, channels_last=True, compile=EAGER)
SMALL = FAMILIES['AudioResNet']
# R(2+1)D's convolutions are modules of their own, which are not looked into
FOLDABLE = [name for name in FAMILIES if name != 'R(2+1)D']


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def randomize_(branch, seed=0):
    """Norms that do something: no ones, no zeros."""
    torch.manual_seed(seed)
    for module in branch.modules():
        if hasattr(module, 'running_var'):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return branch


def make_branch(family='AudioResNet', dtype=torch.float64, **trunk):
    torch.manual_seed(0)
    branch = Branch(FAMILIES[family][0], trunk=trunk)
    return randomize_(branch).to(dtype)


def input_of(family='AudioResNet', dtype=torch.float64):
    torch.manual_seed(1)
    return torch.randn(FAMILIES[family][1], dtype=dtype)


def flat(out):
    return list(out) if isinstance(out, tuple) else [out]


def assert_close(got, expected, **tolerance):
    for a, b in zip(flat(got), flat(expected), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or CLOSE))


def without_options(branch):
    plain = copy.deepcopy(branch)
    plain.frozen_trunk = None
    return plain


@pytest.mark.parametrize('trunk', [
    dict(fold_norm=True), dict(channels_last=True),
    dict(fold_norm=True, channels_last=True)], ids=str)
@pytest.mark.parametrize('family', FOLDABLE)
def test_equal_to_rounding(family, trunk):
    branch, x = make_branch(family, **trunk), input_of(family)
    plain = without_options(branch)
    out = branch.trunk(x)
    assert_close(out, plain.trunk(x))
    assert not any(torch.equal(a, x) for a in flat(out))
    assert all(a.is_contiguous() and not a.requires_grad for a in flat(out))
    assert_close(branch.train()(out), plain.train()(plain.trunk(x)))


@pytest.mark.parametrize('family', FOLDABLE)
def test_all_norms_of_the_trunk_are_folded(family):
    branch = make_branch(family, fold_norm=True)
    branch.trunk(input_of(family))
    twin, built = branch.frozen_trunk.folded.of(branch.backbone)
    assert not built
    left, before = (
        sum(hasattr(m, 'running_var') for part in parts
            for m in part.modules())
        for parts in (branch.stages.trunk_modules(twin),
                      branch.trunk_modules))
    assert before > 10
    # ResNetAudio has norms after the sum of two convolutions
    assert (left > 0) == (family == 'ResNetAudio-50')
    assert left < before / 3


@pytest.mark.parametrize('family,trunk', [
    ('AudioResNet', dict(compile=EAGER)),
    ('AudioResNet', dict(compile=dict(backend='aot_eager'))),
    ('SlowFast', ALL)], ids=str)
def test_compiled(family, trunk):
    torch._dynamo.utils.counters.clear()
    branch, x = make_branch(family, **trunk), input_of(family)
    expected = without_options(branch).trunk(x)
    for _ in range(2):
        assert_close(branch.trunk(x), expected)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 1


@pytest.mark.parametrize('family,trunk', [
    *((family, dict(precision='bf16')) for family in FAMILIES),
    ('SlowOnly', dict(precision='bf16', **ALL)),
    ('AudioResNet', dict(precision='bf16', fold_norm=True))], ids=str)
def test_bf16(family, trunk):
    branch = make_branch(family, torch.float32, **trunk)
    x = input_of(family, torch.float32)
    expected = flat(without_options(branch).trunk(x))
    got = flat(branch.trunk(x))
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == torch.float32
        assert 1e-4 < (a - b).norm() / b.norm() < 0.05
    # also within an autocast of another kind
    with torch.autocast('cpu', dtype=torch.float16):
        assert_close(branch.trunk(x), tuple(got), rtol=0, atol=0)


@pytest.mark.parametrize('trunk', [
    dict(precision='bf16'), dict(channels_last=True), dict(compile=EAGER)],
    ids=str)
def test_batch_statistics(trunk):
    """They move in the backbone, by as many passes, and only in training."""
    config, shape = SMALL
    torch.manual_seed(0)
    branch = randomize_(Branch(config, trunk_norm='batch', trunk=trunk))
    plain = without_options(branch)
    x = torch.randn(shape)
    tolerance = (dict(rtol=0.2, atol=0.4) if 'precision' in trunk else
                 dict(rtol=1e-4, atol=1e-5))
    before = copy.deepcopy(branch.state_dict())
    for passes in (1, 2):
        assert_close(branch.train().trunk(x, passes),
                     plain.train().trunk(x, passes), **tolerance)
    state = branch.state_dict()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(state[name], value, **tolerance)
    name = 'backbone.conv1.bn.running_mean'
    assert not torch.equal(state[name], before[name])
    after = copy.deepcopy(state)
    assert_close(branch.eval().trunk(x), plain.eval().trunk(x), **tolerance)
    assert all(torch.equal(v, after[n])
               for n, v in branch.state_dict().items())


@pytest.mark.parametrize('given,expected', [
    (True, dict(dynamic=False)),
    (dict(backend='x', dynamic=None), dict(backend='x', dynamic=None))])
def test_shapes_are_compiled_as_they_are(monkeypatch, given, expected):
    """Code for any shape may fail to compile on a CPU."""
    asked = []
    monkeypatch.setattr(torch, 'compile',
                        lambda run, **kwargs: asked.append(kwargs) or run)
    branch = make_branch(compile=given)
    branch.trunk(input_of())
    branch.trunk(input_of())
    assert asked == [expected]


def test_state_dict_stays():
    branch = make_branch(**ALL)
    before = copy.deepcopy(branch.state_dict())
    branch.trunk(input_of())
    after = branch.state_dict()
    assert list(after) == list(before) == list(
        without_options(branch).state_dict())
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(after[n].data_ptr() == t.data_ptr()
               for n, t in branch.named_parameters())


def change_by(way, branch):
    other = randomize_(make_branch(), seed=5)
    if way == 'load_state_dict':
        branch.load_state_dict(other.state_dict())
    elif way == 'assign':
        branch.load_state_dict(other.state_dict(), assign=True)
    elif way == 'the host':
        load_state_dict(branch, other.state_dict(), strict=True)
    elif way == 'in place':
        with torch.no_grad():
            branch.backbone.layer1[0].conv1.norm.running_var.mul_(2)
    elif way == 'pointer':
        weight = branch.backbone.conv1.conv.weight
        weight.data = weight.data * 2
    elif way == 'dtype':
        branch.float()


@pytest.mark.parametrize('way', ['load_state_dict', 'assign', 'the host',
                                 'in place', 'pointer', 'dtype'])
@pytest.mark.parametrize('trunk', [
    dict(fold_norm=True), dict(fold_norm=True, channels_last=True), ALL],
    ids=str)
def test_the_folded_copy_follows_the_weights(way, trunk):
    branch, x = make_branch(**trunk), input_of()
    first = branch.trunk(x)
    folded = branch.frozen_trunk.folded
    branch.trunk(x)
    assert folded.times_built == 1
    change_by(way, branch)
    x = x.to(branch.norm.weight.dtype)
    for _ in range(2):
        out = branch.trunk(x)
        assert_close(out, without_options(branch).trunk(x), **(
            dict(rtol=1e-4, atol=1e-5) if way == 'dtype' else CLOSE))
    assert folded.times_built == 2
    if way != 'dtype':
        assert not torch.allclose(out, first)


def test_a_moved_trunk_does_not_take_old_addresses():
    """Two changes may bring new values to where the first ones were."""
    branch, x = make_branch(fold_norm=True), input_of()
    weight = branch.backbone.conv1.conv.weight
    for scale in range(1, 6):
        branch.trunk(x)
        for _ in range(2):
            weight.data = weight.data.clone() + scale
        assert_close(branch.trunk(x), without_options(branch).trunk(x),
                     rtol=1e-9, atol=1e-9)


def test_the_copy_holds_folded_convolutions_alone():
    branch = make_branch(fold_norm=True)
    branch.trunk(input_of())
    twin, _ = branch.frozen_trunk.folded.of(branch.backbone)
    own = {p.data_ptr() for p in branch.backbone.parameters()}
    extra = {n for n, p in twin.named_parameters()
             if p.data_ptr() not in own}
    assert extra and all('.conv.' in name for name in extra)
    assert not any(name.startswith('layer4') for name in extra)
    assert twin.layer4[0].conv1.norm.weight is (
        branch.backbone.layer4[0].conv1.norm.weight)


@pytest.mark.parametrize('copied', [
    copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))],
    ids=['deepcopy', 'pickle'])
def test_copies_run_their_own_weights(copied):
    branch, x = make_branch(**ALL), input_of()
    first = branch.trunk(x)
    clone = copied(branch)
    assert clone.frozen_trunk.folded._twin is None
    assert clone.frozen_trunk._compiled is None
    assert_close(clone.trunk(x), first)
    with torch.no_grad():
        clone.backbone.conv1.conv.weight.mul_(2)
    assert not torch.allclose(clone.trunk(x), first)
    assert_close(branch.trunk(x), first, rtol=0, atol=0)


def test_inference_mode():
    with torch.inference_mode():
        branch = make_branch(**ALL)
        first = branch.trunk(input_of())
    assert_close(branch.trunk(input_of()), first)


def test_meta():
    """Counting operations needs no memory."""
    branch = make_branch(dtype=torch.float32, fold_norm=True,
                         channels_last=True).to('meta')
    assert branch.trunk(torch.empty(SMALL[1], device='meta')).is_meta


def test_nan_of_the_precision_is_refused():
    branch = make_branch(dtype=torch.float32, precision='bf16')
    x = input_of(dtype=torch.float32)
    branch.trunk(x)
    # bfloat16 has float32's range: only its products can leave it
    branch.backbone.conv1.bn.register_forward_hook(
        lambda m, args, out: out.mul(torch.finfo(out.dtype).max))
    with pytest.raises(FloatingPointError, match='without trunk.precision'):
        branch.trunk(x)
    x[0] = float('nan')
    assert branch.trunk(x).isnan().any()  # the data's own is passed on


@pytest.mark.parametrize('trunk,error', [
    (dict(precision='fp8'), "one of .'bf16', 'fp16'., got 'fp8'"),
    (dict(precision=True), 'one of'),
    (dict(fold_norms=True), r"unknown options \['fold_norms'\], expected"),
    (dict(fold_norm=1), 'fold_norm must be True or False, got 1'),
    (dict(channels_last='yes'), 'channels_last must be True or False'),
    (dict(compile='inductor'), 'compile must be True, False or a dict')])
def test_bad_options(trunk, error):
    with pytest.raises(ValueError, match=f"trunk of branch 'a': .*{error}"):
        Branch(SMALL[0], trunk=trunk, modality='a')


def test_options_are_a_dict():
    with pytest.raises(TypeError, match="expected a dict.*got 'bf16'"):
        Branch(SMALL[0], trunk='bf16')


@pytest.mark.parametrize('trunk', [
    dict(precision='bf16'), dict(fold_norm=True), dict(channels_last=True),
    dict(compile={})], ids=str)
def test_no_trunk_is_refused(trunk):
    with pytest.raises(ValueError, match='has none .*or give the branch'):
        Branch(SMALL[0], trunk_stages=-1, trunk=trunk)


def test_options_that_are_off():
    off = dict(precision=None, fold_norm=False, channels_last=False,
               compile=False)
    assert set(off) == set(OPTIONS)
    for trunk in (None, {}, off):
        branch = Branch(SMALL[0], trunk_stages=-1, trunk=trunk)
        assert branch.frozen_trunk is None


def test_batch_statistics_are_not_folded():
    with pytest.raises(ValueError, match="trunk_norm='frozen', got 'batch'"):
        Branch(SMALL[0], trunk_norm='batch', trunk=dict(fold_norm=True))


@pytest.mark.parametrize('backbone', [
    dict(type='ToyBackbone', in_dims=3), FAMILIES['R(2+1)D'][0]],
    ids=['toy', 'R(2+1)D'])
def test_nothing_to_fold(backbone):
    with pytest.raises(ValueError, match='found no convolution followed by'):
        Branch(backbone, trunk=dict(fold_norm=True))


def test_input_that_an_option_does_not_take():
    with pytest.raises(ValueError, match='leaves float64 as it is'):
        make_branch(precision='bf16').trunk(input_of())
    with pytest.raises(ValueError, match='has no autocast for meta'):
        make_branch(precision='bf16').trunk(input_of().to('meta'))
    with pytest.raises(ValueError, match="expected 'bf16' on a CPU"):
        make_branch(dtype=torch.float32, precision='fp16').trunk(
            input_of(dtype=torch.float32))
    small = Branch(dict(type='ToyBackbone', in_dims=3),
                   trunk=dict(channels_last=True))
    with pytest.raises(ValueError, match=r'expected input .*got \(2, 3\)'):
        small.trunk(torch.zeros(2, 3))
