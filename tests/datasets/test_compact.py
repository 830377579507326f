"""Rows are kept instead of records, and nobody can tell but by the memory."""
import pickle
import tracemalloc

import numpy as np
import pytest
import tiny_media
import tiny_sets
from mmengine.dataset import BaseDataset

from mbcd_mmaction.datasets import EpicKitchensDataset, ManifestDataset
from mbcd_mmaction.datasets.compact import CompactDataset, PackedRows
from mbcd_mmaction.datasets.text_file import open_text

CLIPS = 3000


@pytest.fixture(scope='module')
def epic_root(tmp_path_factory):
    """Annotation and empty folders; clips 7 and 11 are clip 3 again."""
    root = tmp_path_factory.mktemp('epic')
    rows = [tiny_media.row(f'P01_{n // 100:02}', 60 * n, 60 * n + 60, n % 8)
            for n in range(CLIPS)]
    rows[7] = rows[11] = rows[3]
    tiny_media.write_annotations(root / 'D2_train.csv', rows)
    for kind in ('video', 'flow', 'audio'):
        (root / kind / 'train/D2').mkdir(parents=True)
    return root


@pytest.fixture(scope='module')
def manifest(tmp_path_factory):
    """Segments, and paths within the folder, above it and elsewhere."""
    root = tmp_path_factory.mktemp('own') / 'set'
    rows = [
        dict(video='a.mp4', start=1, stop=2.5),
        dict(video='sub/b.mp4', start=4, audio='b.wav'),
        dict(video='../c.mp4', flow_x='../x.mp4', flow_y='/far/y.mp4'),
        dict(video='/far/d.mp4'), dict(video='a.mp4'), dict(video='a.mp4'),
    ]
    (root / 'derived/audio').mkdir(parents=True)
    (root / 'derived/audio/a.mp4.wav').touch()
    tiny_sets.write_manifest(root / 'm.csv', [
        dict(dict(label='pour', domain='d', split='train', flow_x='x.mp4',
                  flow_y='y.mp4'), **row) for row in rows])
    return root / 'm.csv'


@pytest.fixture(params=['epic', 'manifest'])
def build(request, epic_root, manifest):
    def make(**kwargs):
        if request.param == 'epic':
            return EpicKitchensDataset(str(epic_root), 'D2', 'train',
                                       **kwargs)
        return ManifestDataset(str(manifest), 'd', classes=['cut', 'pour'],
                               **kwargs)
    return make


def listed(dataset):
    return [dataset.get_data_info(n) for n in range(len(dataset))]


def test_records_are_those_of_the_host(build):
    """MMEngine's own full_init and storage, on the list of records."""
    ours, host = build(), build(lazy_init=True)
    BaseDataset.full_init(host)
    assert 'row' not in pickle.loads(host.data_bytes[:host.data_address[0]])
    assert 'row' in pickle.loads(ours.data_bytes[:ours.data_address[0]])
    assert listed(ours) == listed(host) == listed(build(serialize_data=False))
    names = [record['clip_id'] for record in listed(ours)]
    assert len(set(names)) == len(names)
    assert [n for n in names if '#' in n]
    assert ours.get_data_info(-1) == host.get_data_info(-1)
    assert ours.get_cat_ids(1) == host.get_cat_ids(1)


@pytest.mark.parametrize('indices', [0, 2, 100_000, -2, [3, 0, -1, 3]])
def test_indices_choose_as_the_host_chooses(build, indices):
    host = build(serialize_data=False, indices=indices)
    assert listed(build(indices=indices)) == listed(host)


def test_an_index_that_is_none(build):
    for kwargs in ({}, dict(serialize_data=False)):
        with pytest.raises(IndexError):
            build(indices=[10**6], **kwargs)
        with pytest.raises(TypeError, match='should be a int or sequence'):
            build(indices=1.5, **kwargs)


def test_a_stale_cache_is_refused_at_start(build, tmp_path):
    with pytest.raises(FileNotFoundError, match='trunk_cache'):
        build(trunk_cache=str(tmp_path))


def test_subsets_and_copies(build):
    """What the host's wrappers and spawned workers do with a dataset."""
    dataset = build()
    wanted = listed(dataset)
    copied = pickle.loads(pickle.dumps(dataset))
    assert listed(copied) == wanted
    found = listed(dataset.get_subset([2, 0]))
    assert [r['clip_id'] for r in found] == [
        wanted[n]['clip_id'] for n in (2, 0)]
    dataset.get_subset_(3)
    assert listed(dataset) == wanted[:3]


@pytest.mark.parametrize('name', ['load_data_list', 'filter_data'])
def test_a_subclass_may_change_records(epic_root, name):
    """Overriding what the host documents works as the host says."""

    def changed(self):
        records = (super(Own, self).load_data_list()
                   if name == 'load_data_list' else self.data_list)
        for record in records:
            record['mark'] = len(record['sources']['video']['filename'])
        return records[:5]

    Own = type('Own', (EpicKitchensDataset, ), {name: changed})
    records = listed(Own(str(epic_root), 'D2', 'train'))
    assert len(records) == 5
    assert all(r['mark'] == len(r['sources']['video']['filename'])
               for r in records)


def test_memory_is_that_of_the_rows(epic_root):
    """Bytes a clip, kept and at most while it starts; the host's beside."""
    kept, peaks = {}, {}
    for name, serialises in (('ours', True), ('records', False)):
        tracemalloc.start()
        dataset = EpicKitchensDataset(str(epic_root), 'D2', 'train',
                                      serialize_data=serialises)
        kept[name], peaks[name] = (
            x / CLIPS for x in tracemalloc.get_traced_memory())
        tracemalloc.stop()
        assert len(dataset) == CLIPS
    assert dataset_bytes(epic_root) < 130
    assert peaks['ours'] < peaks['records'] / 4
    assert kept['ours'] < kept['records'] / 10


def dataset_bytes(root):
    """Bytes a clip in the arrays that workers share."""
    dataset = EpicKitchensDataset(str(root), 'D2', 'train')
    arrays = dataset.data_bytes, dataset.data_address
    assert all(isinstance(array, np.ndarray) for array in arrays)
    # Nothing else of the dataset grows with the clips.
    rest = {name: value for name, value in vars(dataset).items()
            if name not in ('data_bytes', 'data_address')}
    assert len(pickle.dumps(rest)) < CLIPS
    return sum(array.nbytes for array in arrays) / CLIPS


def test_the_manifest_lets_its_rows_go(manifest):
    dataset = ManifestDataset(str(manifest), 'd', classes=['cut', 'pour'],
                              modalities=['video'])
    assert len(dataset._chosen) == 0 and len(dataset) == 6


def test_packed_rows():
    items = [('D1', 1.5, None), 'x', (), dict(a=[1])]
    packed = PackedRows()
    for item in items:
        packed.append(item)
    assert len(packed) == 4 and list(packed) == list(packed) == items
    data, ends = packed.arrays()
    assert data.dtype == np.uint8 and ends.dtype == np.int64
    assert ends[-1] == len(data)
    assert pickle.loads(data[ends[1]:ends[2]]) == ()


def test_text_is_checked_before_any_of_it_is_read(tmp_path):
    path = tmp_path / 'm.csv'
    path.write_bytes(b'\xef\xbb\xbfa,b\r\nc\rd\n' + 2**20 * b'x')
    with open_text(str(path)) as file:
        assert file.readline() == 'a,b\r\n'
        file.seek(0)
        assert file.readline() == 'a,b\r\n'
    with open_text(str(path), newline='\n') as file:
        assert [line[:4] for line in file] == ['a,b\r', 'c\rd\n', 'xxxx']
    # Split by the pieces in which it is looked through: good, then cut off.
    path.write_bytes((2**20 - 1) * b'x' + 'é'.encode())
    with open_text(str(path)) as file:
        assert file.read()[-2:] == 'xé'
    path.write_bytes(b'a\nb\n\xff')
    with pytest.raises(ValueError, match='line 3: expected UTF-8.*0xff'), \
            open_text(str(path)):
        pass


def test_both_lists_keep_rows():
    assert issubclass(EpicKitchensDataset, CompactDataset)
    assert issubclass(ManifestDataset, CompactDataset)
