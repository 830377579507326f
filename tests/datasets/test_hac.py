"""HAC: both layouts, its protocol and its traps."""
import os
from collections import Counter

import pytest
import real_annotations
import tiny_sets
from mmaction.registry import DATASETS

from mbcd_mmaction.datasets import HACDataset
from mbcd_mmaction.datasets.hac import read_rows

DOMAINS = ('human', 'animal', 'cartoon')
needs_real = real_annotations.needs(real_annotations.HAC)
# Clips of each class in train and test.
COUNTS = {
    'human': ([159, 158, 160, 158, 158, 158, 160],
              [39, 40, 39, 40, 40, 38, 40]),
    'animal': ([103, 117, 123, 112, 109, 93, 73],
               [36, 26, 25, 21, 24, 27, 17]),
    'cartoon': ([83, 93, 135, 104, 121, 163, 171],
                [23, 28, 28, 22, 27, 51, 39]),
}


@pytest.fixture
def folders(tmp_path):
    """Annotation files and empty folders: enough to list clips."""

    def make(rows):
        tiny_sets.write_hac_splits(tmp_path / 'HAC_Splits', rows)
        for domain in DOMAINS:
            for kind in ('videos', 'flow', 'audio'):
                (tmp_path / domain / kind).mkdir(parents=True)
        return str(tmp_path)

    return make


@pytest.fixture
def real(tmp_path):
    """The real annotation files beside empty folders."""
    (tmp_path / 'HAC_Splits').symlink_to(real_annotations.HAC)
    for domain in DOMAINS:
        for kind in ('videos', 'flow', 'audio'):
            (tmp_path / domain / kind).mkdir(parents=True)
    return str(tmp_path)


def records(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_one_record_a_clip(folders):
    root = folders({('animal', 'test'): [('a-1.mp4', 5)]})
    dataset = HACDataset(root, 'animal', 'test')
    assert records(dataset) == [dict(
        label=5, domain='animal', split='test', clip_id='animal_test_a-1',
        video_id='animal/a-1.mp4', start=None, stop=None, sample_idx=0,
        modalities=['video', 'flow', 'audio'],
        sources=dict(
            video=dict(filename=f'{root}/animal/videos/a-1.mp4',
                       modality='RGB', start_index=0),
            flow=dict(filename=(f'{root}/animal/flow/a-1_flow_x.mp4',
                                f'{root}/animal/flow/a-1_flow_y.mp4'),
                      modality='Flow', start_index=0),
            audio=dict(filename=f'{root}/animal/audio/a-1.wav',
                       modality='Audio', segment=None)))]
    assert dataset.metainfo['classes'][5] == 'running'


@pytest.mark.parametrize('inside', [False, True])
@pytest.mark.parametrize('deeper', [False, True])
def test_both_layouts_from_either_folder(tmp_path, inside, deeper):
    tiny_sets.write_hac(tmp_path, clips=1, inside=inside)
    root = tmp_path / 'HAC_Splits' if deeper else tmp_path
    dataset = HACDataset(str(root), list(DOMAINS), 'all')
    assert len(dataset) == 6
    for record in records(dataset):
        for source in record['sources'].values():
            names = source['filename']
            for name in [names] if isinstance(names, str) else names:
                assert os.path.isfile(name)


@needs_real
@pytest.mark.parametrize('domain', DOMAINS)
def test_class_counts_of_the_real_files(real, domain):
    for split, expected in zip(('train', 'test'), COUNTS[domain],
                               strict=True):
        dataset = HACDataset(real, domain, split)
        found = Counter(record['label'] for record in records(dataset))
        assert [found[label] for label in range(7)] == expected
    target = HACDataset(real, domain, 'all')
    assert len(target) == sum(map(sum, COUNTS[domain]))
    assert len(target) == dict(human=1387, animal=906, cartoon=1088)[domain]


@needs_real
def test_duplicates_of_the_real_files(real):
    """24 human clips are in both splits, none elsewhere."""
    for domain, twice in (('human', 24), ('animal', 0), ('cartoon', 0)):
        for split, whole in (('test', sum(COUNTS[domain][1])),
                             ('all', sum(map(sum, COUNTS[domain])))):
            dataset = HACDataset(real, domain, split, drop_duplicates=True)
            assert len(dataset) == whole - twice
            names = [record['video_id'] for record in records(dataset)]
            assert len(set(names)) == len(names)
        train = HACDataset(real, domain, 'train', drop_duplicates=True)
        assert len(train) == sum(COUNTS[domain][0])


@needs_real
def test_clip_ids_tell_domains_and_splits_apart(real):
    """Animals and cartoons share 693 file names."""
    found = records(HACDataset(real, list(DOMAINS), 'all'))
    assert len({record['clip_id'] for record in found}) == len(found) == 3381
    # By domain and split, none had to be numbered to be unique.
    assert not [r['clip_id'] for r in found if '#' in r['clip_id']]
    names = {domain: {record['video_id'].split('/')[1] for record in found
                      if record['domain'] == domain} for domain in DOMAINS}
    assert len(names['animal'] & names['cartoon']) == 693


def test_duplicates_stay_by_default(folders):
    rows = [('a.mp4', 0), ('b.mp4', 1)]
    root = folders({('human', 'train'): rows,
                    ('human', 'test'): [('b.mp4', 1), ('c.mp4', 2)]})
    assert len(HACDataset(root, 'human', 'all')) == 4
    dropped = HACDataset(root, 'human', 'all', drop_duplicates=True)
    assert [r['video_id'] for r in records(dropped)] == [
        'human/a.mp4', 'human/b.mp4', 'human/c.mp4']
    kept = HACDataset(root, 'human', 'test', drop_duplicates=True)
    assert [r['video_id'] for r in records(kept)] == ['human/c.mp4']


@pytest.fixture
def said(monkeypatch):
    """What goes to the log."""
    lines = []
    monkeypatch.setattr('mbcd_mmaction.datasets.hac.print_log',
                        lambda text, *_: lines.append(text))
    return lines


def test_what_is_left_out_is_counted_in_the_log(folders, said):
    train = [('a.mp4', 0), ('b.mp4', 1)]
    root = folders({('human', 'train'): train,
                    ('human', 'test'): [*train, ('c.mp4', 2), ('c.mp4', 2)]})
    kept = HACDataset(root, 'human', 'test', drop_duplicates=True)
    assert [r['video_id'] for r in records(kept)] == ['human/c.mp4']
    assert len(said) == 1
    assert "human: 3 clips of the split 'test' are left out" in said[0]
    everything = HACDataset(root, ['human'], 'test')
    assert [r['clip_id'] for r in records(everything)] == [
        'human_test_a', 'human_test_b', 'human_test_c', 'human_test_c#2']
    assert len(said) == 1


@pytest.mark.parametrize('drop', [False, True])
def test_one_file_with_two_labels_is_reported(folders, said, drop):
    root = folders({('human', 'train'): [('a.mp4', 0), ('b.mp4', 1)],
                    ('human', 'test'): [('a.mp4', 3), ('b.mp4', 1)]})
    dataset = HACDataset(root, 'human', 'all', drop_duplicates=drop)
    assert [r['label'] for r in records(dataset)] == (
        [0, 1] if drop else [0, 1, 3, 1])
    assert 'human: files with different labels' in said[-1]
    assert said[-1].endswith("{'a.mp4': [0, 3]}")


@pytest.mark.parametrize('row,match', [
    (('a.mp4', 'running'), "line 2.*whole number.*'a.mp4,running'"),
    (('a.mp4', ), 'line 2.*file.mp4,label'),
    (('a.mp4', 1, 2), 'line 2.*file.mp4,label'),
    ((' ', 1), 'line 2: the file name is blank'),
])
def test_bad_rows_are_named(folders, row, match):
    root = folders({('human', 'train'): [('b.mp4', 0), row]})
    with pytest.raises(ValueError, match=match):
        len(HACDataset(root, 'human', 'train'))


@pytest.mark.parametrize('label', [-1, 7])
def test_labels_out_of_range(folders, label):
    root = folders({('human', 'train'): [('a.mp4', label)]})
    with pytest.raises(ValueError, match=f'0 to 6.*got {label} for clip'):
        len(HACDataset(root, 'human', 'train'))


def test_choices(folders):
    root = folders({})
    for kwargs, match in (
        (dict(domains='cat', split='train'), r"domains.*'human'.*\['cat'\]"),
        (dict(domains=[], split='train'), r'domains.*got \[\]'),
        (dict(domains='human', split='val'), "split.*'all'.*val"),
        (dict(domains='human', split='train', modalities=['pose']),
         'modalities.*pose'),
    ):
        with pytest.raises(ValueError, match=match):
            HACDataset(root, **kwargs)
    with pytest.raises(ValueError, match='no clips'):
        len(HACDataset(root, 'human', 'train'))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='HAC: expected the folder'):
        HACDataset(str(tmp_path / 'none'), 'human', 'train')
    tiny_sets.write_hac_splits(tmp_path / 'HAC_Splits', {})
    with pytest.raises(FileNotFoundError, match="human's video files"):
        HACDataset(str(tmp_path), 'human', 'train')
    (tmp_path / 'human/videos').mkdir(parents=True)
    # Folders of modalities that are not asked for may be absent.
    DATASETS.build(dict(type='HACDataset', data_root=str(tmp_path),
                        domains='human', split='train',
                        modalities=['video'], lazy_init=True))
    (tmp_path / 'HAC_Splits/HAC_train_only_human.csv').unlink()

    def build(split, root=tmp_path, **kwargs):
        return HACDataset(str(root), 'human', split, ['video'],
                          lazy_init=True, **kwargs)

    build('test')  # one file is not looked for to read the other
    for split, kwargs in (('train', {}), ('all', {}),
                          ('test', dict(drop_duplicates=True))):
        with pytest.raises(FileNotFoundError) as caught:
            build(split, **kwargs)
        assert (f'{tmp_path}/HAC_Splits/HAC_train_only_human.csv'
                in str(caught.value))
    (tmp_path / 'bare').mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        build('test', tmp_path / 'bare')
    name = 'HAC_test_only_human.csv'
    assert (f'{tmp_path}/bare/HAC_Splits/{name} or {tmp_path}/bare/{name}'
            in str(caught.value))


def test_both_layouts_at_once_must_be_named(folders, tmp_path):
    root = folders({('human', 'train'): [('a.mp4', 0)]})
    inside = tmp_path / 'HAC_Splits/human/videos'
    inside.mkdir(parents=True)
    for base in (root, f'{root}/HAC_Splits'):
        with pytest.raises(ValueError) as caught:
            HACDataset(base, 'human', 'train', ['video'])
        assert str(caught.value) == (
            f"HAC: found two layouts, 'beside' in {tmp_path} and 'inside' in "
            f"{tmp_path}/HAC_Splits: say which by layout='beside' or "
            "layout='inside'")
        dataset = HACDataset(base, 'human', 'train', ['video'],
                             layout='inside')
        source = dataset.get_data_info(0)['sources']['video']
        assert source['filename'] == f'{inside}/a.mp4'
    # Flow is beside only: no doubt.
    dataset = HACDataset(root, 'human', 'train', ['video', 'flow'])
    assert dataset.layout == 'beside'
    with pytest.raises(FileNotFoundError, match="human's flow files, "
                       f"{tmp_path}/HAC_Splits/human/flow .layout='inside'"):
        HACDataset(root, 'human', 'train', ['flow'], layout='inside')
    with pytest.raises(ValueError, match="layout: .*'inside'.*'tar'"):
        HACDataset(root, 'human', 'train', layout='tar')


def test_media_in_neither_place(tmp_path):
    tiny_sets.write_hac_splits(tmp_path / 'HAC_Splits', {})
    with pytest.raises(FileNotFoundError) as caught:
        HACDataset(str(tmp_path), 'cartoon', 'train', ['audio'])
    for part in (f"{tmp_path}/cartoon/audio (layout='beside')",
                 f"{tmp_path}/HAC_Splits/cartoon/audio (layout='inside')",
                 'docs/data_preparation.md'):
        assert part in str(caught.value)


def test_a_name_that_is_not_utf8(folders, tmp_path):
    root = folders({})
    path = tmp_path / 'HAC_Splits/HAC_train_only_human.csv'
    path.write_bytes(b'a.mp4,0\ncaf\xe9.mp4,1\n')
    with pytest.raises(ValueError, match=f'{path}, line 2: expected UTF-8, '
                       'got the byte 0xe9 at position 11'):
        HACDataset(root, 'human', 'train')


def test_rows_of_a_file(tmp_path):
    path = tmp_path / 'rows.csv'
    path.write_bytes(b'\xef\xbb\xbfa b .mp4,3\r\n\r\nc.mp4,0\n')
    # One real name has a space before its suffix: it stays.
    assert read_rows(str(path)) == [('a b .mp4', 3), ('c.mp4', 0)]
