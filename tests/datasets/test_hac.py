"""HAC: both layouts, its protocol and its traps."""
import os
from collections import Counter
from pathlib import Path

import pytest
import tiny_sets
from mmaction.registry import DATASETS

from mbcd_mmaction.datasets import HACDataset
from mbcd_mmaction.datasets.hac import read_rows

DOMAINS = ('human', 'animal', 'cartoon')
REAL = Path(
    os.environ.get('MBCD_ANNOTATIONS')
    or Path(__file__).parents[3] / 'shared' / 'data' / 'annotations')
needs_real = pytest.mark.skipif(
    not (REAL / 'HAC_Splits').is_dir(),
    reason=f'the real annotation files are not at {REAL}; set '
    'MBCD_ANNOTATIONS to the folder that holds their folder')
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
    (tmp_path / 'HAC_Splits').symlink_to(REAL / 'HAC_Splits')
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
    assert len({record['clip_id'] for record in found}) == len(found)
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


def test_one_file_with_two_labels_is_an_error(folders):
    root = folders({('human', 'train'): [('a.mp4', 0)],
                    ('human', 'test'): [('a.mp4', 3)]})
    with pytest.raises(ValueError, match=r"one label.*'a.mp4': \[0, 3\]"):
        len(HACDataset(root, 'human', 'all'))


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
    (tmp_path / 'HAC_Splits/HAC_test_only_human.csv').unlink()
    with pytest.raises(FileNotFoundError, match='HAC_test_only_human.csv'):
        HACDataset(str(tmp_path), 'human', 'train', modalities=['video'])


def test_rows_of_a_file(tmp_path):
    path = tmp_path / 'rows.csv'
    path.write_bytes(b'\xef\xbb\xbfa b.mp4,3\r\n\r\nc.mp4,0\n')
    assert read_rows(str(path)) == [('a b.mp4', 3), ('c.mp4', 0)]
