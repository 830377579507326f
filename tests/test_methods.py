"""All methods under one rule: what is compared is the method alone."""
import copy
import functools
import math

import pytest
from mini_runs import mini_config, train
from mmengine.hooks import Hook
from shipped import METHODS
from toy_runner import assert_equal, weights

from mbcd_mmaction.datasets.mini import make_mini

PROBES = {'probe_video', 'probe_flow', 'probe_audio'}
HEADS = {'video', 'flow', 'audio'}
DISTILLED = {f'distill_{name}' for name in ('fused', *HEADS)}
SPLIT = {'translation', 'contrast', 'split'}
# The terms of each method's loss, beside the fused cross-entropy.
TERMS = dict(
    mbcd=HEADS | DISTILLED, erm=PROBES, ema=PROBES, rna_net=PROBES | {'norm'},
    simmmdg=PROBES | SPLIT, moosa=SPLIT | {'jigsaw', 'entropy'},
    cmrf=HEADS | {'contrast', 'distill'})
# Two steps of eight clips; the mean of CMRF begins with the first of them.
SHORT = {'train_dataloader.batch_size': 8}
OPTIONS = dict(cmrf={'custom_hooks.0.start_step': 0})


class Recorder(Hook):
    """The weights before the first step, and all batches."""

    def __init__(self):
        self.start, self.batches = None, []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.start is None:
            self.start = weights(runner.model)
        self.batches.append(copy.deepcopy(data_batch))


@pytest.fixture(scope='module')
def run_of(tmp_path_factory):
    """One epoch of a method on a tiny set, and its test on the target."""
    place = tmp_path_factory.mktemp('methods')
    root = make_mini(place / 'mini', seed=0, train_clips=8, test_clips=8,
                     workers=1, progress=False)

    @functools.cache
    def run(method):
        recorder = Recorder()
        runner, _ = train(
            mini_config(root, place / method, method=method, **SHORT,
                        **OPTIONS.get(method, {})), recorder)
        return recorder, runner.message_hub.log_scalars, runner.test()

    return run


def test_all_methods_are_here():
    assert TERMS.keys() == METHODS.keys() - {'mbcd_released'}


@pytest.mark.parametrize('method', TERMS)
def test_starts_from_the_same_weights(run_of, method):
    shared, own = {}, set()
    for name, tensor in run_of(method)[0].start.items():
        if name.startswith('objective.'):
            own.add(name)
        else:
            shared[name] = tensor
    assert_equal(shared, run_of('erm')[0].start)
    assert bool(own) == (method in ('simmmdg', 'moosa', 'cmrf'))


@pytest.mark.parametrize('method', TERMS)
def test_sees_the_same_batches(run_of, method):
    mine, theirs = (run_of(name)[0].batches for name in (method, 'erm'))
    assert len(mine) == len(theirs) == 2
    for a, b in zip(mine, theirs, strict=True):
        for modality, clips in a['inputs'].items():
            assert_equal(dict(enumerate(clips)),
                         dict(enumerate(b['inputs'][modality])))
        assert [x.gt_label for x in a['data_samples']] == [
            x.gt_label for x in b['data_samples']]


@pytest.mark.parametrize('method', TERMS)
def test_trains_on_its_terms_and_scores_the_target(run_of, method):
    _, scalars, metrics = run_of(method)
    losses = {name.removeprefix('train/loss_'): log.data[0]
              for name, log in scalars.items()
              if name.startswith('train/loss_')}
    assert losses.keys() == TERMS[method] | {'cls'}
    assert all(math.isfinite(value) for log in losses.values()
               for value in log)
    assert metrics['acc/num_clips'] == 8
    assert all(0 <= metrics[f'acc/D1/{name}'] <= 1 for name in (
        'top1', 'video/top1', 'flow/top1', 'audio/top1'))
