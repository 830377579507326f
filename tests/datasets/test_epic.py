import pickle
import shutil

import numpy as np
import pytest
import real_annotations
import tiny_media
import tiny_sets

from mbcd_mmaction.datasets import ClipReadError, EpicKitchensDataset
from mbcd_mmaction.datasets.epic import ANNOTATION_FOLDER


@pytest.fixture(scope='module')
def tiny_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('epic')
    tiny_media.write_set(root / ANNOTATION_FOLDER, domains=('D1', 'D2'),
                         splits=('train', 'test'), clips=3)
    return root


@pytest.fixture
def layout(tmp_path):
    """Annotation files and empty folders: enough to list clips."""

    def make(rows, domain='D2', split='train'):
        tiny_media.write_annotations(tmp_path / f'{domain}_{split}.csv', rows)
        for kind in ('video', 'flow', 'audio'):
            (tmp_path / kind / split / domain).mkdir(parents=True)
        return str(tmp_path)

    return make


def test_one_record_a_clip(layout):
    root = layout([tiny_media.row('P01_01', 121, 240, 3)])
    dataset = EpicKitchensDataset(root, ['D2'], 'train')
    record = dataset.get_data_info(0)
    assert record == dict(
        label=3,
        domain='D2',
        split='train',
        clip_id='D2_P01_01_121_240_3',
        video_id='P01_01',
        start=2.02,
        stop=4.0,
        modalities=['video', 'flow', 'audio'],
        sample_idx=0,
        sources=dict(
            video=dict(
                filename=f'{root}/video/train/D2/D2_P01_01_121_240_3.mp4',
                modality='RGB',
                start_index=0),
            # Half rate: from ceil(121 / 2), int(119 / 2) frames.
            flow=dict(
                filename=(f'{root}/flow/train/D2/D2_P01_01_61_120_3_u.mp4',
                          f'{root}/flow/train/D2/D2_P01_01_61_120_3_v.mp4'),
                modality='Flow',
                start_index=0),
            audio=dict(
                filename=f'{root}/audio/train/D2/P01_01.wav',
                modality='Audio',
                segment=(2.02, 4.0))))


def test_clips_that_differ_by_class_only_have_names_of_their_own(layout):
    rows = [tiny_media.row(start=0, stop=60, label=label) for label in (0, 5)]
    dataset = EpicKitchensDataset(layout(rows), 'D2', 'train')
    names = [dataset.get_data_info(n)['clip_id'] for n in (0, 1)]
    assert names == ['D2_P01_01_0_60_0', 'D2_P01_01_0_60_5']
    assert [dataset.get_cat_ids(n) for n in (0, 1)] == [[0], [5]]


@pytest.mark.parametrize('inner', ['', ANNOTATION_FOLDER])
def test_root_or_the_folder_in_it(tiny_root, inner):
    dataset = EpicKitchensDataset(
        str(tiny_root / inner), ['D2', 'D1'], 'test')
    assert len(dataset) == 6
    domains = [dataset.get_data_info(n)['domain'] for n in range(6)]
    assert domains == ['D2'] * 3 + ['D1'] * 3  # in the order asked for
    assert {dataset.get_data_info(n)['split'] for n in range(6)} == {'test'}


def test_only_what_is_asked_for_is_listed_and_looked_for(tiny_root, tmp_path):
    root = tmp_path / 'set'
    shutil.copytree(tiny_root / ANNOTATION_FOLDER, root)
    shutil.rmtree(root / 'flow')
    shutil.rmtree(root / 'video' / 'train' / 'D2')
    (root / 'D2_train.csv').unlink()
    dataset = EpicKitchensDataset(
        str(root), ['D1'], 'train', modalities=['audio', 'video'],
        pipeline=tiny_media.full_pipeline('audio', 'video'))
    assert list(dataset.get_data_info(0)['sources']) == ['audio', 'video']
    assert list(dataset[0]['inputs']) == ['audio', 'video']


def test_whole_sample(tiny_root):
    dataset = EpicKitchensDataset(
        str(tiny_root), ['D1'], 'train', pipeline=tiny_media.full_pipeline())
    data = dataset[2]
    assert {name: (tuple(x.shape), str(x.dtype))
            for name, x in data['inputs'].items()} == dict(
                video=((1, 3, 8, 48, 48), 'torch.uint8'),
                flow=((1, 2, 8, 48, 48), 'torch.uint8'),
                audio=((1, 1, 257, 199), 'torch.float32'))
    sample = data['data_samples']
    assert sample.gt_label.tolist() == [2]
    assert sample.domain == 'D1'
    assert sample.metainfo == dict(
        clip_id='D1_P01_01_120_180_2', video_id='P01_01', start=2.0,
        stop=3.0, audio_empty=False, read_errors=[], skipped=False)
    assert 'modality_mask' not in sample


@pytest.mark.parametrize('frames', [2, 3, 9])
def test_clips_shorter_than_every_window(tmp_path, frames):
    tiny_media.write_set(tmp_path, clips=1, frames=frames)
    dataset = EpicKitchensDataset(
        str(tmp_path), 'D1', 'train', pipeline=tiny_media.full_pipeline())
    data = dataset[0]
    assert data['data_samples'].read_errors == []
    assert data['inputs']['video'].shape == (1, 3, 8, 48, 48)
    assert data['inputs']['flow'].shape == (1, 2, 8, 48, 48)


def test_batch_through_the_hosts_preprocessor(tiny_root):
    from mmaction.registry import MODELS
    from mmengine.dataset import pseudo_collate
    dataset = EpicKitchensDataset(
        str(tiny_root), ['D1'], 'train', pipeline=tiny_media.full_pipeline())
    frames = dict(type='ActionDataPreprocessor', format_shape='NCTHW')
    preprocessor = MODELS.build(
        dict(type='MultiModalDataPreprocessor',
             preprocessors=dict(
                 video=dict(frames, mean=[124.] * 3, std=[58.] * 3),
                 flow=dict(frames, mean=[128.] * 2, std=[128.] * 2),
                 audio=dict(type='ActionDataPreprocessor'))))
    items = [dataset[0], dataset[1]]
    batch = preprocessor(pseudo_collate(items), training=True)
    assert {name: (tuple(x.shape), str(x.dtype))
            for name, x in batch['inputs'].items()} == dict(
                video=((2, 1, 3, 8, 48, 48), 'torch.float32'),
                flow=((2, 1, 2, 8, 48, 48), 'torch.float32'),
                audio=((2, 1, 1, 257, 199), 'torch.float32'))
    assert batch['inputs']['flow'][1].equal(
        (items[1]['inputs']['flow'].float() - 128) / 128)
    assert [s.domain for s in batch['data_samples']] == ['D1', 'D1']


def test_host_options_pass_through(tiny_root):
    def build(**kwargs):
        return EpicKitchensDataset(str(tiny_root), ['D1'], 'train', **kwargs)

    assert len(build(indices=2)) == 2
    last = build(indices=[2], serialize_data=False)
    assert last.get_data_info(0)['clip_id'] == 'D1_P01_01_120_180_2'
    lazy = build(lazy_init=True, metainfo=dict(dataset_type='mini'))
    assert lazy.data_list == []
    assert len(lazy) == 3
    assert lazy.metainfo['dataset_type'] == 'mini'
    assert lazy.metainfo['classes'][:2] == ('take', 'put')
    assert lazy.metainfo['domains'] == ('D1', 'D2', 'D3')
    assert len(pickle.loads(pickle.dumps(build()))) == 3  # to spawn workers


@pytest.mark.parametrize('changes, message', [
    (dict(domains=['D4']), r"domains: expected some of .*'D1'.*got \['D4'\]"),
    (dict(domains=['D1', 'D1']), 'each once'),
    (dict(domains=[]), r'got \[\]'),
    (dict(split='val'), r"split: expected some of \['train', 'test'\]"),
    (dict(modalities=['video', 'depth']), "modalities: .*'depth'"),
    (dict(modalities=[]), 'modalities'),
    (dict(num_classes=2), 'expected 0 to 1 .*got 2 for clip D1_P01_01_120'),
    (dict(on_error='ignore'), "on_error: expected one of .*got 'ignore'"),
])
def test_bad_arguments(tiny_root, changes, message):
    arguments = dict(domains=['D1'], split='train')
    with pytest.raises(ValueError, match=message):
        EpicKitchensDataset(str(tiny_root), **{**arguments, **changes})


def test_no_clips(layout):
    with pytest.raises(ValueError, match='no clips.*D2_train.csv'):
        EpicKitchensDataset(layout([]), 'D2', 'train')


@pytest.mark.parametrize('label', [-1, 8])
def test_labels_outside_the_classes(layout, label):
    with pytest.raises(ValueError, match=f'got {label} for clip'):
        EpicKitchensDataset(layout([tiny_media.row(label=label)]), 'D2',
                            'train')


@pytest.mark.parametrize('lazy_init', [False, True])
def test_absent_parts_are_named_at_once(layout, tmp_path, lazy_init):
    def build(root, **kwargs):
        EpicKitchensDataset(
            str(root), 'D2', 'train', lazy_init=lazy_init, **kwargs)

    with pytest.raises(FileNotFoundError) as caught:
        build(tmp_path / 'none')
    for part in (str(tmp_path / 'none'), ANNOTATION_FOLDER,
                 'docs/data_preparation.md'):
        assert part in str(caught.value)
    assert 'make_mini' not in str(caught.value)
    for folder, hint in (('mini', {}), ('x', dict(hint='make it so'))):
        command = hint.get('hint', 'python tools/data/make_mini.py')
        with pytest.raises(FileNotFoundError, match=command):
            build(tmp_path / folder, **hint)
    with pytest.raises(FileNotFoundError, match='D2_train.pkl'):
        build(tmp_path)
    root = layout([tiny_media.row()])
    build(root)
    shutil.rmtree(f'{root}/flow')
    with pytest.raises(FileNotFoundError, match="D2's flow files"):
        build(root)
    build(root, modalities=['video', 'audio'])


@pytest.mark.parametrize('inside', [False, True])
def test_annotations_are_asked_for_where_they_would_be_found(
        tmp_path, monkeypatch, inside):
    """Both places where the folder could mean either, as absolute paths."""
    inner = tmp_path / 'set' / ANNOTATION_FOLDER
    (inner if inside else inner.parent).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        EpicKitchensDataset('set', 'D2', 'train')
    assert f'{inner}/D2_train.pkl' in str(caught.value)
    assert (f'{inner.parent}/D2_train.pkl' in str(caught.value)) != inside
    inner.mkdir(exist_ok=True)
    (inner / 'D2_train.csv').touch()
    with pytest.raises(FileNotFoundError) as caught:
        EpicKitchensDataset('set', 'D2', 'train')
    # Neither layout: both are named, with the words that choose one.
    for part in (f"D2's video files, {inner}/video/train/D2 "
                 "(layout='clips')", "(layout='frames')"):
        assert part in str(caught.value)
    with pytest.raises(FileNotFoundError) as caught:
        EpicKitchensDataset('set', 'D2', 'train', layout='frames')
    assert f"{inner}/rgb/train/D2 (layout='frames'), which" in str(
        caught.value)


def test_a_pickle_is_taken_before_a_csv(layout, tmp_path):
    pandas = pytest.importorskip('pandas')
    root = layout([tiny_media.row()] * 2)
    pandas.DataFrame([tiny_media.row()]).to_pickle(tmp_path / 'D2_train.pkl')
    assert len(EpicKitchensDataset(root, 'D2', 'train')) == 1


def test_the_mini_set_reads(mini_root):
    dataset = EpicKitchensDataset(
        str(mini_root), ['D1', 'D2', 'D3'], 'test', test_mode=True,
        pipeline=tiny_media.full_pipeline())
    labels = {dataset.get_data_info(n)['label'] for n in range(len(dataset))}
    assert labels == set(range(8))
    for n in range(0, len(dataset), 3):
        data = dataset[n]
        assert not data['data_samples'].audio_empty
        assert data['inputs']['video'].shape == (1, 3, 8, 48, 48)
        # Flow is centred at 128: most of a frame is nearly still.
        assert abs(np.median(data['inputs']['flow'].numpy()) - 128) < 40


@pytest.fixture(scope='module')
def frames_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('frames')
    tiny_sets.write_epic_frames(root, clips=2, frames=41)
    return root


@pytest.mark.parametrize('layout', [None, 'frames'])
@pytest.mark.parametrize('inner', ['', ANNOTATION_FOLDER])
def test_layout_frames_is_found_or_named(frames_root, layout, inner):
    dataset = EpicKitchensDataset(str(frames_root / inner), 'D1', 'train',
                                  layout=layout)
    assert dataset.layout == 'frames'
    record = dataset.get_data_info(1)
    place = frames_root / 'rgb/train/D1/P01_01'
    assert record['sources'] == dict(
        # From frame 61, 41 frames of 60 a second.
        video=dict(filename=str(place), modality='RGB',
                   template='frame_{:010d}.jpg', first=61, total_frames=41,
                   fps=60.0),
        # Half rate: from ceil(61 / 2), int(41 / 2) frames.
        flow=dict(
            filename=tuple(str(frames_root / f'flow/train/D1/P01_01/{axis}')
                           for axis in 'uv'),
            modality='Flow', template='frame_{:010d}.jpg', first=31,
            total_frames=20, fps=30.0),
        audio=dict(filename=f'{place}.wav', modality='Audio',
                   segment=(record['start'], record['stop'])))
    for kind, name in (('video', place), *(
            ('flow', frames_root / f'flow/train/D1/P01_01/{axis}')
            for axis in 'uv')):
        source = record['sources'][kind]
        for number in range(source['total_frames']):
            assert (name / source['template'].format(
                source['first'] + number)).is_file()


def test_layout_clips_is_found(tiny_root):
    dataset = EpicKitchensDataset(str(tiny_root), 'D1', 'train')
    assert dataset.layout == 'clips'


def test_a_layout_that_is_not_there(frames_root, tiny_root):
    with pytest.raises(FileNotFoundError, match="D1's video files"):
        EpicKitchensDataset(str(frames_root), 'D1', 'train', layout='clips')
    with pytest.raises(FileNotFoundError, match='rgb/train/D1'):
        EpicKitchensDataset(str(tiny_root), 'D1', 'train', layout='frames')
    with pytest.raises(ValueError, match="layout.*'clips', 'frames'.*tar"):
        EpicKitchensDataset(str(tiny_root), 'D1', 'train', layout='tar')


def test_both_layouts_at_once_must_be_named(tmp_path):
    tiny_media.write_set(tmp_path / ANNOTATION_FOLDER, clips=1)
    for kind in ('rgb', 'flow'):
        (tmp_path / kind / 'train/D1').mkdir(parents=True)
    with pytest.raises(ValueError,
                       match="'clips' in .*'frames' in .*say which by "
                       "layout='clips' or layout='frames'"):
        EpicKitchensDataset(str(tmp_path), 'D1', 'train')
    for layout in ('clips', 'frames'):
        dataset = EpicKitchensDataset(str(tmp_path), 'D1', 'train',
                                      layout=layout)
        assert dataset.layout == layout


def test_frames_need_no_folder_of_a_modality_that_is_not_read(frames_root,
                                                              tmp_path):
    shutil.copytree(frames_root / ANNOTATION_FOLDER,
                    tmp_path / ANNOTATION_FOLDER)
    (tmp_path / 'rgb/train/D1').mkdir(parents=True)
    dataset = EpicKitchensDataset(str(tmp_path), 'D1', 'train',
                                  modalities=['video', 'audio'])
    assert dataset.layout == 'frames'
    with pytest.raises(FileNotFoundError, match="D1's flow files"):
        EpicKitchensDataset(str(tmp_path), 'D1', 'train')


@pytest.mark.parametrize('start, stop', [(60, 60), (60, 59), (60, 61)])
@pytest.mark.parametrize('name', ['clips', 'frames'])
def test_annotations_of_no_frames_are_listed(layout, tmp_path, name, start,
                                             stop):
    """Reading them is an error of that clip, which is counted."""
    root = layout([tiny_media.row(start=start, stop=stop)])
    (tmp_path / 'rgb/train/D2').mkdir(parents=True)
    for axis in 'uv':
        (tmp_path / 'flow/train/D2/P01_01' / axis).mkdir(parents=True)
    dataset = EpicKitchensDataset(
        root, 'D2', 'train', ['video', 'flow'], layout=name, test_mode=True,
        pipeline=[dict(type='MultiModalPipeline', pipelines={
            kind: [dict(type='ClipInit')] for kind in ('flow', 'video')})])
    record = dataset.get_data_info(0)
    assert record['clip_id'] == f'D2_P01_01_{start}_{stop}_0'
    if name == 'frames':
        assert [source['total_frames']
                for source in record['sources'].values()] == [stop - start, 0]
    match = dict(clips='no such file', frames='at least one frame')[name]
    with pytest.raises(ClipReadError, match=match):
        dataset[0]


def test_clips_that_are_annotated_twice_have_two_names(layout):
    dataset = EpicKitchensDataset(layout([tiny_media.row()] * 2), 'D2',
                                  'train')
    names = [dataset.get_data_info(n)['clip_id'] for n in (0, 1)]
    assert names == ['D2_P01_01_0_60_0', 'D2_P01_01_0_60_0#2']


@real_annotations.needs(real_annotations.EPIC)
def test_names_and_lengths_of_the_real_clips(tmp_path):
    pytest.importorskip('pandas')
    (tmp_path / ANNOTATION_FOLDER).symlink_to(real_annotations.EPIC)
    records = []
    for split in ('train', 'test'):
        for domain in ('D1', 'D2', 'D3'):
            (tmp_path / 'rgb' / split / domain).mkdir(parents=True)
        dataset = EpicKitchensDataset(
            str(tmp_path), ['D1', 'D2', 'D3'], split, ['video', 'audio'])
        records += [dataset.get_data_info(n) for n in range(len(dataset))]
    names = [record['clip_id'] for record in records]
    assert len(set(names)) == len(names) == 10094
    # One stretch is annotated twice with one verb.
    assert [name for name in names if '#' in name] == [
        'D3_P22_08_17280_17853_4#2']
    assert min(record['sources']['video']['total_frames']
               for record in records) == 30
