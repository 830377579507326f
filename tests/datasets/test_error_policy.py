import copy
import pickle
import shutil

import av
import numpy as np
import pytest
import tiny_media
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mbcd_mmaction.datasets import ClipReadError, EpicKitchensDataset
from mbcd_mmaction.datasets.errors import explain


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp('whole')
    rows = tiny_media.write_set(root, clips=4)
    return root, rows['D1_train']


@pytest.fixture
def spoilt(whole, tmp_path):
    """A copy of the set and a function that spoils one clip's files."""
    root, rows = whole
    copied = tmp_path / 'set'
    shutil.copytree(root, copied)

    def spoil(number, kind, how):
        path = dict(
            zip(('video', 'u', 'v', 'audio'),
                tiny_media.media_paths(copied, 'D1', 'train', rows[number]),
                strict=True))[kind]
        how(path)
        return str(path)

    return copied, spoil


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b'')


def cut(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def cut_behind_the_index(path):
    """Cut a file that starts with its index, as web servers prefer them."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (40, 64), dtype=np.uint8)
              for _ in range(40)]
    tiny_media.write_video(path, frames, faststart=True, g='5')
    cut(path)


def write_text(path):
    path.write_text('this is not a film\n' * 100)


def build(root, **kwargs):
    return EpicKitchensDataset(
        str(root), ['D1'], 'train', pipeline=tiny_media.full_pipeline(),
        **kwargs)


@pytest.mark.parametrize('how', [remove, empty, cut, cut_behind_the_index,
                                 write_text])
@pytest.mark.parametrize('kind', ['video', 'u', 'v'])
def test_training_goes_on_with_another_clip(spoilt, how, kind):
    root, spoil = spoilt
    path = spoil(1, kind, how)
    data = build(root)[1]
    sample = data['data_samples']
    assert sample.clip_id != 'D1_P01_01_60_120_1'
    assert sample.gt_label.item() == int(sample.clip_id[-1]) != 1
    assert not sample.skipped
    failures = sample.read_errors
    assert {failure.path for failure in failures} == {path}
    assert {failure.clip_id for failure in failures} == {'D1_P01_01_60_120_1'}
    assert {f.modality for f in failures} == {
        'video' if kind == 'video' else 'flow'}
    assert all(failure.reason for failure in failures)
    if how is remove:
        assert failures[0].reason == 'no such file'
    if how is empty:
        assert failures[0].reason == 'the file is empty (0 bytes)'
    path_and_reason = failures[0][:2]
    assert path_and_reason == (path, failures[0].reason)


@pytest.mark.parametrize('how', [remove, empty, write_text])
def test_sound_of_a_recording(spoilt, how):
    root, spoil = spoilt
    path = spoil(0, 'audio', how)  # all clips share it
    with pytest.raises(RuntimeError, match='11 clips in a row') as caught:
        build(root)[2]
    assert path in str(caught.value)
    assert 'docs/data_preparation.md' in str(caught.value)
    silent = EpicKitchensDataset(
        str(root), ['D1'], 'train', modalities=['video', 'flow'],
        pipeline=tiny_media.full_pipeline('video', 'flow'))
    assert silent[2]['data_samples'].read_errors == []


def test_test_and_validation_stop_at_once(spoilt):
    root, spoil = spoilt
    path = spoil(1, 'u', cut)
    dataset = build(root, test_mode=True)
    dataset[0]
    with pytest.raises(ClipReadError) as caught:
        dataset[1]
    message = str(caught.value)
    assert path in message and 'flow' in message
    assert 'D1_P01_01_60_120_1' in message
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (message, caught.value.reason)


def test_the_error_of_a_worker_names_the_clip(spoilt):
    root, spoil = spoilt
    path = spoil(1, 'video', empty)
    loader = DataLoader(
        build(root, test_mode=True), num_workers=1, collate_fn=pseudo_collate)
    message = ''
    try:  # pytest.raises would keep the loader's iterator and workers alive
        list(loader)
    except RuntimeError as error:
        message = str(error)
    assert path in message and 'D1_P01_01_60_120_1' in message


def test_skipping_leaves_marks(spoilt):
    root, spoil = spoilt
    paths = [spoil(1, 'video', empty), spoil(2, 'v', remove)]
    dataset = build(root, test_mode=True, on_error='skip')
    samples = [dataset[n]['data_samples'] for n in range(4)]
    assert [s.skipped for s in samples] == [False, True, True, False]
    assert [s.clip_id[-1] for s in samples] == ['0', '3', '3', '3']
    assert [f.path for f in samples[1].read_errors] == paths
    assert [f.path for f in samples[2].read_errors] == paths[1:]


def test_max_refetch_bounds_the_search(spoilt):
    root, spoil = spoilt
    for number in range(4):
        spoil(number, 'video', empty)
    with pytest.raises(RuntimeError, match='4 clips in a row.*max_refetch=3'):
        build(root, max_refetch=3)[0]
    with pytest.raises(RuntimeError, match='1 clips in a row'):
        build(root, max_refetch=0, test_mode=True, on_error='skip')[0]


def test_policies_fit_the_mode(whole):
    with pytest.raises(ValueError, match='would train on clips marked'):
        build(whole[0], on_error='skip')
    with pytest.raises(ValueError, match='would score some clips twice'):
        build(whole[0], on_error='substitute', test_mode=True)
    assert build(whole[0]).on_error == 'substitute'
    assert build(whole[0], test_mode=True).on_error == 'raise'
    assert build(whole[0], on_error='raise').on_error == 'raise'


def test_mistakes_in_a_pipeline_are_not_replaced(whole):
    pipeline = copy.deepcopy(tiny_media.full_pipeline())
    pipeline[0]['pipelines']['video'].append(lambda results: results['nope'])
    dataset = EpicKitchensDataset(
        str(whole[0]), ['D1'], 'train', pipeline=pipeline)
    with pytest.raises(KeyError, match='nope'):
        dataset[0]


def test_a_pipeline_that_gives_nothing(whole):
    steps = [lambda results: None if results['label'] == 1 else results]
    dataset = EpicKitchensDataset(
        str(whole[0]), ['D1'], 'train', pipeline=steps)
    results = dataset[1]
    assert results['label'] != 1
    assert results['read_errors'][0].reason == 'the pipeline gave None'
    assert dataset[0]['read_errors'] == []


@pytest.mark.parametrize('start, stop', [(60, 60), (120, 60), (6000, 6060)])
def test_windows_without_sound(whole, tmp_path, start, stop):
    """The clip's own files are there; only its sound has no length."""
    root, rows = whole
    copied = tmp_path / 'set'
    shutil.copytree(root, copied)
    item = tiny_media.row(start=start, stop=stop)
    for old, new in zip(
            tiny_media.media_paths(copied, 'D1', 'train', rows[0])[:3],
            tiny_media.media_paths(copied, 'D1', 'train', item)[:3],
            strict=True):
        old.rename(new)
    tiny_media.write_annotations(copied / 'D1_train.csv', [item])
    data = build(copied)[0]
    assert data['data_samples'].audio_empty
    assert data['data_samples'].read_errors == []
    assert data['inputs']['audio'].isfinite().all()


def test_a_decoder_that_fails_names_the_file(tmp_path):
    """PyAV names FFmpeg's function where a file is open already."""
    path = str(tmp_path / 'a.mp4')
    tiny_media.write_video(path, [np.zeros((64, 64), np.uint8)])
    error = av.error.InvalidDataError(1, 'Invalid data', 'avcodec_send()')
    assert explain(error, (path, )) == (
        path, "InvalidDataError: [Errno 1] Invalid data: 'avcodec_send()'")
    absent = str(tmp_path / 'b.mp4')
    with pytest.raises(av.error.FileNotFoundError) as caught:
        av.open(absent)
    assert explain(caught.value, (absent, )) == (absent, 'no such file')
