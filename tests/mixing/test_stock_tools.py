"""MMAction2's own configs and tools, as installed, with the hooks added.

Each case is a stock config, unedited: a child states the hooks, and
``--cfg-options`` makes it small enough to train here. ``custom_imports`` and
hooks cannot come by ``--cfg-options``: MMEngine imports while it reads the
file, and an option holds no list of dicts.
"""
import math
import pickle

import pytest
import stock
import torch
from bench import (
    TEACHER,
    Bench,
    load,
    logged,
    steps,
    student_of,
    validations,
)
from cases import CASES

CONSISTENCY = dict(type='GradientConsistencyHook', inner_lr=.1)


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp('stock')
    with stock.Tools(folder) as tools:
        yield Bench(folder, tools)


@pytest.fixture(scope='module')
def training():
    """Training settings for a config that has none."""
    return stock.load(CASES['slowonly'].path)


NO_VALIDATION = dict(train_cfg__val_begin=9)


@pytest.fixture(scope='module')
def trained(bench, training):
    """(file, options, folder) of one epoch of the SlowOnly example."""
    config, options, _ = prepare(bench, training, 'slowonly')
    work = bench.folder / 'example'
    bench.train(config, work, options)
    return config, options, work


def prepare(bench, training, name, hooks=None, **more):
    """The file to train, its options, and the config without the hooks."""
    case = CASES[name]
    cfg, added = bench.settings(case, training)
    options = bench.options(cfg, case, **more)
    if hooks is None and case.example:
        return stock.ROOT / 'configs/mixing' / case.example, options, cfg
    hooks = [TEACHER] if hooks is None else hooks
    return bench.child(f'{name}_{len(hooks)}', case, hooks, added), options, (
        cfg)


def test_the_cases_are_the_families():
    kinds = {}
    for name, case in CASES.items():
        model = stock.load(case.path).model
        kinds.setdefault(model.type, set()).add(name)
    assert len(CASES) >= 12
    assert kinds['Recognizer3D'] >= {'slowonly', 'i3d', 'slowfast', 'x3d',
                                     'swin', 'timesformer'}
    assert kinds['Recognizer2D'] == {'tsn', 'tsm'}
    assert kinds['RecognizerAudio'] and kinds['RecognizerGCN']
    assert kinds['MMRecognizer3D'] == {'rgbpose'}
    shipped = {p.name for p in (stock.ROOT / 'configs/mixing').glob('*.py')}
    assert {case.example for case in CASES.values()} - {''} == shipped


@pytest.mark.parametrize('name', CASES)
def test_trains_validates_resumes_and_tests(bench, training, name):
    case = CASES[name]
    config, options, cfg = prepare(bench, training, name)
    work = bench.folder / name
    bench.train(config, work, options)
    assert [line['step'] for line in steps(work)] == [1, 2]
    assert len(validations(work)) == 1
    text = bench.train(config, work, [*options, 'train_cfg.max_epochs=2'],
                       '--resume')
    assert 'resumed epoch: 1, iter: 2' in text
    assert [(line['epoch'], line['step']) for line in steps(work)] == [
        (1, 1), (1, 2), (2, 3), (2, 4)]
    check_losses(steps(work), case.losses)
    checkpoint = load(work / 'epoch_2.pth')
    check_checkpoint(checkpoint)
    options += [f'{name}={value}'
                for name, value in stock.like_validation(
                    cfg, case.clip_len).items()]
    found = bench.test(config, work / 'epoch_2.pth', work / 'test', options)
    assert found and found == validations(work)[-1]


def check_losses(lines, distilled):
    """Named, finite, above 0 and part of the loss."""
    for line in lines:
        terms = {name: value for name, value in line.items()
                 if 'loss' in name and name != 'loss'}
        assert set(distilled) == {n for n in terms if 'distill' in n}
        assert all(math.isfinite(value) for value in terms.values())
        assert line['loss'] == pytest.approx(sum(terms.values()), rel=1e-5)
        assert all(terms[name] > 0 for name in distilled)


def check_checkpoint(checkpoint):
    """Teacher and student, four steps old, and not the same."""
    assert checkpoint['meta']['iter'] == 4
    assert checkpoint['meta']['epoch'] == 2
    averaged = checkpoint['ema_state_dict']
    assert int(averaged['steps']) == 4
    teacher, student = checkpoint['state_dict'], student_of(checkpoint)
    assert student.keys() == teacher.keys()
    moved = [name for name in teacher
             if not torch.equal(teacher[name], student[name])]
    assert len(moved) > 10


@pytest.mark.parametrize('name', ['slowonly', 'stgcn'])
def test_weight_0_is_the_training_without_the_hook(bench, training, name):
    off = dict(TEACHER, distill_weight=0)
    config, options, _ = prepare(bench, training, name, [off])
    bench.train(config, bench.folder / f'{name}_off', options)
    # The stock config itself: no child, no import of ours in its process
    # but what the server has done for all.
    bench.train(stock.MIM / 'configs' / CASES[name].path,
                bench.folder / f'{name}_without', options)
    ours, theirs = (load(bench.folder / f'{name}_{kind}' / 'epoch_1.pth')
                    for kind in ('off', 'without'))
    assert 'ema_state_dict' not in theirs
    student = student_of(ours)
    assert student.keys() == theirs['state_dict'].keys()
    for key, value in theirs['state_dict'].items():
        assert torch.equal(student[key], value), key
    for key, state in theirs['optimizer']['state'].items():
        for part, value in state.items():
            assert torch.equal(ours['optimizer']['state'][key][part], value)
    lines, plain = (steps(bench.folder / f'{name}_{kind}')
                    for kind in ('off', 'without'))
    names = [key for key in plain[0] if 'loss' in key or 'norm' in key]
    assert len(lines) == len(plain) == 2
    for key in names:
        assert [x[key] for x in lines] == [x[key] for x in plain], key


def test_a_new_interpreter_needs_no_more_than_the_config(bench, trained):
    """Nothing is imported before: custom_imports mends the host in time."""
    config, options, forked = trained
    work = bench.folder / 'fresh'
    bench.train(config, work, options, fresh=True)
    losses = [[(line['loss'], line['loss_distill']) for line in steps(folder)]
              for folder in (work, forked)]
    assert len(losses[0]) == 2 and losses[0] == losses[1]
    found = bench.test(config, work / 'epoch_1.pth', work / 'test', options,
                       fresh=True)
    assert 0 <= found['acc/top1'] <= 1


def test_our_own_tools_take_a_stock_config_too(bench, training):
    config, options, _ = prepare(bench, training, 'slowonly',
                                 **NO_VALIDATION)
    bench.tools(stock.ROOT / 'tools/train.py', config, '--work-dir',
                bench.folder / 'own', '--seed', '0', *options)
    assert len(steps(bench.folder / 'own')) == 2


def test_a_test_needs_no_hook(bench, trained):
    """The stock config scores a checkpoint as the config with hooks does."""
    config, options, work = trained
    checkpoint = load(work / 'epoch_1.pth')
    teacher, student = checkpoint['state_dict'], student_of(checkpoint)
    assert any(not torch.equal(teacher[key], student[key]) for key in teacher)
    scores = {}
    for kind, file in (('hooks', config), (
            'stock', stock.MIM / 'configs' / CASES['slowonly'].path)):
        dump = bench.folder / f'{kind}.pkl'
        bench.test(file, work / 'epoch_1.pth', bench.folder / kind, options,
                   '--dump', dump)
        with open(dump, 'rb') as found:
            scores[kind] = torch.stack(
                [sample['pred_score'] for sample in pickle.load(found)])
    assert len(scores['hooks']) == 6
    assert torch.equal(scores['hooks'], scores['stock'])


def test_look_ahead_on_rgbpose(bench, training):
    """The outer loss of the first step is another, the inner one is not."""
    named = dict(inner_losses=['rgb_loss_cls'],
                 outer_losses=['pose_loss_cls'])
    first = {}
    for kind, inner_lr in (('on', .1), ('off', 0)):
        config, options, _ = prepare(
            bench, training, 'rgbpose',
            [dict(CONSISTENCY, inner_lr=inner_lr, **named)], **NO_VALIDATION)
        bench.train(config, bench.folder / f'ahead_{kind}', options)
        lines = steps(bench.folder / f'ahead_{kind}')
        assert len(lines) == 2
        assert all(math.isfinite(line['loss']) for line in lines)
        first[kind] = lines[0]
    assert first['on']['rgb_loss_cls'] == first['off']['rgb_loss_cls']
    assert first['on']['pose_loss_cls'] != first['off']['pose_loss_cls']


def test_rgbpose_with_as_many_clips_as_classes(bench, training):
    """Where the host's head takes the labels for soft ones, and falls."""
    config, options, _ = prepare(
        bench, training, 'rgbpose', model__cls_head__num_classes=4,
        train_dataloader__batch_size=4, **NO_VALIDATION)
    work = bench.folder / 'square'
    bench.train(config, work, options)
    (line, ) = steps(work)
    check_losses([line], CASES['rgbpose'].losses)


@pytest.mark.parametrize('order', ['penalty', 'cosine'])
def test_penalty_on_two_losses_of_one_head(bench, training, order):
    """TPN's auxiliary loss and its main one."""
    config, options, _ = prepare(
        bench, training, 'tpn',
        [dict(CONSISTENCY, order=order, inner_losses=['loss_aux'],
              outer_losses=['loss_cls'])], **NO_VALIDATION)
    bench.train(config, bench.folder / order, options)
    lines = steps(bench.folder / order)
    assert len(lines) == 2
    for line in lines:
        assert math.isfinite(line['loss_consistency'])
        assert line['loss_consistency'] != 0
        assert line['loss'] == pytest.approx(
            line['loss_cls'] + line['loss_aux'] + line['loss_consistency'],
            rel=1e-5)


def test_one_loss_is_refused(bench, training):
    config, options, _ = prepare(
        bench, training, 'stgcn',
        [dict(CONSISTENCY, inner_losses=['loss_cls'])])
    text = bench.train(config, bench.folder / 'refused', options, fails=True)
    assert 'one loss has nothing to agree with' in text
    assert not logged(bench.folder / 'refused')
