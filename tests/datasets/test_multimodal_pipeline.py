import numpy as np
import pytest
import torch

from mbcd_mmaction.datasets import ClipReadError, MediaError
from mbcd_mmaction.datasets.transforms import (
    MultiModalPipeline,
    PackMultiModalInputs,
)
from mbcd_mmaction.datasets.transforms.multimodal_pipeline import (
    _in_one_piece,
)


def leave(key, value):
    def step(results):
        results[key] = value
        return results

    return step


def fail(error):
    def step(results):
        raise error

    return step


def record(*modalities, **kwargs):
    sources = {name: dict(filename=f'/none/{name}', modality=name)
               for name in modalities}
    return dict(label=3, domain='D2', clip_id='c', video_id='v', start=1.,
                stop=2., sources=sources, **kwargs)


FRAMES = np.arange(24, dtype=np.uint8).reshape(1, 1, 2, 3, 4)


def test_each_pipeline_sees_the_common_fields_and_its_own_source():
    seen = {}

    def look(results):
        seen[results['modality']] = dict(results)
        results['start'] = -1  # stays in this modality
        return leave('imgs', FRAMES)(results)

    given = record('video', 'depth')
    given['sources']['depth']['start'] = 7.
    results = MultiModalPipeline(dict(depth=[look], video=[look]))(given)
    assert list(seen) == ['depth', 'video']
    assert seen['video'] == dict(
        label=3, domain='D2', clip_id='c', video_id='v', start=1., stop=2.,
        filename='/none/video', modality='video', shared={}, aligned=False)
    assert seen['depth']['start'] == 7.
    assert results['start'] == 1.
    assert 'modality_mask' not in results


def test_results_are_imgs_or_audios_in_one_piece():
    audio = np.ones((1, 1, 5, 6), np.float32)
    crossed = FRAMES.transpose(0, 2, 1, 4, 3)
    results = MultiModalPipeline(
        dict(video=[leave('imgs', crossed)],
             audio=[leave('audios', audio), leave('audio_empty', True)]))(
                 record('audio', 'video'))
    np.testing.assert_array_equal(results['video'], crossed)
    assert results['video'].flags.c_contiguous
    assert results['audio'] is audio  # no needless copy
    assert results['audio_empty'] is True
    with pytest.raises(ValueError, match="'video' left neither imgs nor aud"):
        MultiModalPipeline(dict(video=[]))(record('video'))


def test_a_pipeline_that_gives_nothing():
    pipeline = MultiModalPipeline(dict(video=[lambda results: None]))
    assert pipeline(record('video')) is None


def test_absent_modalities():
    steps = dict(video=[leave('imgs', FRAMES)],
                 flow=[fail(AssertionError('must not run'))],
                 audio=[fail(AssertionError('must not run'))])
    pipeline = MultiModalPipeline(
        steps, on_missing=dict(flow=[1, 2, 8, 4, 4], audio=(1, 1, 5, 6)))
    given = record('video')
    given['sources']['audio'] = None
    results = pipeline(given)
    assert results['modality_mask'] == dict(
        video=True, flow=False, audio=False)
    assert results['flow'].shape == (1, 2, 8, 4, 4)
    assert results['flow'].dtype == np.uint8
    assert results['audio'].dtype == np.float32
    assert not results['flow'].any() and not results['audio'].any()
    packed = PackMultiModalInputs(tuple(steps))(results)
    assert packed['data_samples'].modality_mask == results['modality_mask']
    assert packed['inputs']['audio'].shape == (1, 1, 5, 6)
    with pytest.raises(ValueError, match="modality 'flow', its sources are"):
        MultiModalPipeline(steps)(record('video'))


@pytest.mark.parametrize('pipelines, on_missing', [
    ({}, None), (dict(video=[]), dict(flow=(1, 2)))])
def test_bad_arguments(pipelines, on_missing):
    with pytest.raises(ValueError, match='expected pipelines for'):
        MultiModalPipeline(pipelines, on_missing)


@pytest.mark.parametrize('error, reason', [
    (OSError('disk on fire'), 'OSError: disk on fire'),
    (RuntimeError('first line\nsecond'), 'RuntimeError: first line'),
    (EOFError(), 'EOFError: no detail given'),
    (MediaError(__file__, 'bent'), 'bent'),
])
def test_bad_files_are_named(error, reason):
    given = record('video')
    given['sources']['video']['filename'] = __file__
    with pytest.raises(ClipReadError) as caught:
        MultiModalPipeline(dict(video=[fail(error)]))(given)
    assert (caught.value.modality, caught.value.path, caught.value.reason,
            caught.value.clip_id) == ('video', __file__, reason, 'c')
    assert str(caught.value) == (
        f'clip c: cannot read its video from {__file__}: {reason}')


def test_absent_and_empty_files_are_told_apart(tmp_path):
    (tmp_path / 'x.mp4').write_bytes(b'x')
    (tmp_path / 'y.mp4').touch()
    for names, path, reason in (
        (('x.mp4', 'y.mp4'), 'y.mp4', 'the file is empty (0 bytes)'),
        (('x.mp4', 'z.mp4'), 'z.mp4', 'no such file')):
        given = record('flow')
        given['sources']['flow']['filename'] = tuple(
            str(tmp_path / name) for name in names)
        with pytest.raises(ClipReadError) as caught:
            MultiModalPipeline(dict(flow=[fail(OSError('?'))]))(given)
        assert caught.value.path == str(tmp_path / path)
        assert caught.value.reason == reason


@pytest.mark.parametrize('kind', [TypeError, KeyError, AttributeError,
                                  NotImplementedError, ValueError, NameError,
                                  IndexError, AssertionError])
def test_mistakes_in_programs_are_not_taken_for_bad_files(kind):
    with pytest.raises(kind, match='oh') as caught:
        MultiModalPipeline(dict(video=[fail(kind('oh'))]))(record('video'))
    assert not isinstance(caught.value, ClipReadError)


def test_packing():
    results = dict(record('video'), video=FRAMES, extra=5, lesson=6,
                   audio_empty=False)
    packed = PackMultiModalInputs(
        ['video'], meta_keys=['extra'], algorithm_keys=['lesson'])(results)
    assert list(packed['inputs']) == ['video']
    assert packed['inputs']['video'].equal(torch.from_numpy(FRAMES))
    sample = packed['data_samples']
    assert sample.gt_label.tolist() == [3]
    assert (sample.domain, sample.lesson) == ('D2', 6)
    assert sample.metainfo == dict(clip_id='c', video_id='v', start=1.,
                                   stop=2., audio_empty=False, extra=5)


def test_pipelines_share_one_dict_a_sample():
    shared = []

    def look(results):
        shared.append((results['shared'], results['aligned']))
        results['shared'].setdefault('window', len(shared))
        return leave('imgs', FRAMES)(results)

    step = MultiModalPipeline(dict(depth=[look], video=[look]), aligned=True)
    for _ in range(2):
        step(record('video', 'depth'))
    (first, aligned), (second, _), (third, _), _ = shared
    assert aligned is True
    assert first is second and first is not third
    assert (first, third) == (dict(window=1), dict(window=3))


def test_modalities_that_the_dataset_was_not_asked_for_are_not_read():
    def refuse(results):
        raise AssertionError('was read')

    step = MultiModalPipeline(
        dict(video=[leave('imgs', FRAMES)], depth=[refuse]))
    results = step(dict(record('video'), modalities=['video']))
    assert 'depth' not in results and 'modality_mask' not in results
    packed = PackMultiModalInputs(['video', 'depth'])(results)
    assert list(packed['inputs']) == ['video']


def test_a_modality_without_a_pipeline_is_an_error():
    step = MultiModalPipeline(dict(video=[leave('imgs', FRAMES)]))
    with pytest.raises(ValueError, match=r"\['depth'\].*no pipeline"):
        step(dict(record('video', 'depth'), modalities=['video', 'depth']))


@pytest.mark.parametrize('shape', [
    (2, 4, 6, 5, 3), (1, 8, 6, 5, 2), (1, 3, 6, 5, 1), (1, 0, 6, 5, 3)])
def test_frames_become_planes_in_one_piece(shape):
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    wanted = pictures.transpose(0, 4, 1, 2, 3)
    planes = _in_one_piece(wanted)
    assert planes.flags.c_contiguous
    np.testing.assert_array_equal(planes, wanted)
    mirrored = _in_one_piece(wanted[..., ::-1])
    np.testing.assert_array_equal(mirrored, wanted[..., ::-1])
