import logging
from types import SimpleNamespace

import pytest
import tiny_media
import torch
from mmaction.structures import ActionDataSample
from mmengine.dataset import BaseDataset, ClassBalancedDataset, RepeatDataset
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mbcd_mmaction.datasets import EpicKitchensDataset, ReadFailure
from mbcd_mmaction.engine.hooks import ReadErrorHook


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.weight.sum() * len(data_samples))


class Numbers(BaseDataset):
    """200 clips of one class."""

    def load_data_list(self):
        return [dict(number=n) for n in range(200)]

    def get_cat_ids(self, idx):
        return [0]


def batch(*failures, clip_id='c', **meta):
    sample = ActionDataSample(metainfo=dict(
        clip_id=clip_id, read_errors=list(failures), skipped=False, **meta))
    return dict(inputs={}, data_samples=[sample, ActionDataSample()])


def failure(name, clip_id=None):
    return ReadFailure(f'/data/{name}', 'bent', 'video', clip_id or name)


@pytest.fixture
def runner(caplog):
    logger = logging.getLogger('test_read_errors')
    caplog.set_level(logging.WARNING, logger.name)
    return SimpleNamespace(
        logger=logger,
        train_dataloader=SimpleNamespace(dataset=range(200)))


@pytest.mark.parametrize('wrap', [
    lambda x: RepeatDataset(x, 10), lambda x: ClassBalancedDataset(x, 4.)])
def test_a_repeated_set_counts_once(runner, wrap):
    """3 of 200 clips are too many, however often the 200 come."""
    runner.train_dataloader.dataset = wrap(Numbers())
    assert len(runner.train_dataloader.dataset) >= 400
    hook = ReadErrorHook(max_share=.01)
    for name in ('a', 'b'):
        hook.after_train_iter(runner, 0, batch(failure(name)))
    with pytest.raises(RuntimeError, match='3 of 200 training clips'):
        hook.after_train_iter(runner, 0, batch(failure('c')))


def test_each_file_is_said_once_and_counted(runner, caplog):
    hook = ReadErrorHook(max_share=.01)
    hook.before_train_epoch(runner)
    for number in range(3):
        hook.after_train_iter(runner, number, batch(failure('a.mp4')))
    assert [r.getMessage() for r in caplog.records] == [
        'unreadable: /data/a.mp4: bent']
    caplog.clear()
    hook.after_train_epoch(runner)
    message, = [r.getMessage() for r in caplog.records]
    assert message.startswith('unreadable clips: 3 reads failed in this epoch;'
                              ' 1 of 200 clips (0.50%) so far, for 1 files')
    caplog.clear()
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner, 0, batch(failure('a.mp4')))
    hook.after_train_epoch(runner)
    message, = [r.getMessage() for r in caplog.records]
    assert '1 reads failed in this epoch; 1 of 200 clips' in message


def test_nothing_is_said_of_a_whole_set(runner, caplog):
    hook = ReadErrorHook()
    hook.before_train_epoch(runner)
    hook.after_train_iter(runner, 0, batch())
    hook.after_train_iter(runner, 1, dict(inputs={}))
    hook.after_train_iter(runner, 2, None)
    hook.after_train_epoch(runner)
    assert not caplog.records


def test_too_many_clips_stop_the_run_with_the_list(runner):
    hook = ReadErrorHook(max_share=.01)
    hook.before_train_epoch(runner)
    for name in ('b.mp4', 'a.mp4', 'a.mp4'):
        hook.after_train_iter(runner, 0, batch(failure(name)))
    with pytest.raises(RuntimeError) as caught:
        hook.after_train_iter(runner, 1, batch(failure('c.mp4')))
    assert str(caught.value).startswith(
        '3 of 200 training clips could not be read, more than max_share=1.00%')
    assert str(caught.value).endswith(
        '  /data/a.mp4: bent\n  /data/b.mp4: bent\n  /data/c.mp4: bent')


def test_clips_count_and_not_files(runner):
    """Clips of one recording share a wav."""
    hook = ReadErrorHook(max_share=.01)
    hook.before_train_epoch(runner)
    for clip in ('1', '2'):
        hook.after_train_iter(runner, 0, batch(failure('a.wav', clip)))
    with pytest.raises(RuntimeError, match='3 of 200'):
        hook.after_train_iter(runner, 0, batch(failure('a.wav', '3')))
    assert list(hook.files) == ['/data/a.wav']


def test_plain_pairs_count_by_their_path(runner):
    hook = ReadErrorHook(max_share=0.)
    with pytest.raises(RuntimeError, match='1 of 200'):
        hook.after_train_iter(runner, 0, batch(('/data/x.mp4', 'cut')))


def test_silent_clips_are_counted(runner, caplog):
    hook = ReadErrorHook()
    for clip in ('p', 'q', 'p'):
        hook.after_train_iter(
            runner, 0, batch(clip_id=clip, audio_empty=True))
    hook.after_train_iter(runner, 0, batch(clip_id='r', audio_empty=False))
    hook.after_train_epoch(runner)
    message, = [r.getMessage() for r in caplog.records]
    assert message.startswith('2 clips so far have no sound')


def test_processes_join_their_lists_and_stop_together(runner, monkeypatch,
                                                      caplog):
    name = 'mbcd_mmaction.engine.hooks.read_errors'
    monkeypatch.setattr(f'{name}.is_distributed', lambda: True)
    mine, other = ReadErrorHook(max_share=.01), ReadErrorHook(max_share=.01)
    for hook, files in ((mine, 'abc'), (other, 'cd')):
        hook.before_train_epoch(runner)
        for file in files:  # alone, no process stops before the others
            hook.after_train_iter(runner, 0, batch(failure(file)))
    theirs = (other.files, other.clips, other.silent_clips, 2)
    monkeypatch.setattr(f'{name}.all_gather_object',
                        lambda own: [own, theirs])
    caplog.clear()
    with pytest.raises(RuntimeError, match='4 of 200'):
        mine.after_train_epoch(runner)
    messages = [r.getMessage() for r in caplog.records]
    assert messages[0] == 'unreadable: /data/d: bent'
    assert '5 reads failed' in messages[1]


@pytest.mark.parametrize('share', [-.1, 1.1])
def test_bad_share(share):
    with pytest.raises(ValueError, match=r'share in \[0, 1\]'):
        ReadErrorHook(max_share=share)


@pytest.fixture
def train(tmp_path):
    root = tmp_path / 'set'
    rows = tiny_media.write_set(root, clips=4)['D1_train']
    video, *_ = tiny_media.media_paths(root, 'D1', 'train', rows[2])
    video.write_bytes(b'')

    def run(max_share):
        hook = ReadErrorHook(max_share=max_share)
        runner = Runner(
            model=Model(),
            work_dir=str(tmp_path / 'work'),
            default_scope='mmaction',
            train_dataloader=dict(
                batch_size=2,
                num_workers=1,
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=EpicKitchensDataset(
                    str(root), ['D1'], 'train',
                    pipeline=tiny_media.full_pipeline())),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)),
            custom_hooks=[hook],
            randomness=dict(seed=0),
            experiment_name=f'read_errors_{max_share}')
        runner.train()
        return hook, str(video)

    return run


def test_a_whole_run_goes_on_or_stops(train):
    hook, path = train(max_share=.25)
    assert hook.files == {path: 'the file is empty (0 bytes)'}
    assert hook.clips == {'D1_P01_01_120_180_2'}
    with pytest.raises(RuntimeError, match='1 of 4 training clips'):
        train(max_share=.24)
