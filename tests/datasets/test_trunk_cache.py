"""Stored trunk features: what lies on disk, and what is read from it."""
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mbcd_mmaction.datasets import MultiModalDataset
from mbcd_mmaction.datasets.trunk_cache import (
    CacheWriter,
    Column,
    Description,
    TrunkCache,
    clip_key,
)
from mbcd_mmaction.datasets.trunk_cache import layout as bits
from mbcd_mmaction.datasets.trunk_cache.layout import differences, plain
from mbcd_mmaction.datasets.trunk_cache.reader import folder_bytes

PIPELINE = [dict(type='PackMultiModalInputs', collect_keys=('video', 'audio'))]
TRUNKS = dict(video=dict(backbone='B', weights='w'), audio=None)
COLUMNS = [Column('video', 0, (1, 3), 'float16'),
           Column('video', 1, (1, 2, 2), 'bfloat16'),
           Column('audio', -1, (1, 4), 'float32')]
CLIPS, VIEWS = 5, 3


def record(number, **more):
    return dict(clip_id=f'c{number}', label=number, domain='D1', start=0.,
                stop=1., split='train', video_id='v', sources={},
                modalities=['video', 'audio'], **more)


class Set(MultiModalDataset):

    def load_data_list(self):
        return [record(i) for i in range(CLIPS)]


def describe(**changes):
    return Description(**{**dict(
        pipeline=plain(PIPELINE), trunks=TRUNKS, columns=COLUMNS,
        clips=CLIPS, views=VIEWS, seed=0), **changes})


def sorted_keys():
    return np.sort(np.array([clip_key(record(i)) for i in range(CLIPS)],
                            np.uint64))


def values(first, last):
    """Rows whose every number is the row's own."""
    rows = torch.arange(first, last, dtype=torch.float32)
    return {
        column.file: column.to_numpy(
            rows.view(-1, *[1] * len(column.shape)).expand(
                -1, *column.shape).to(getattr(torch, column.dtype)))
        for column in COLUMNS
    }


def write(folder, first=0, stop=CLIPS * VIEWS, flags=0, failures=None):
    writer = CacheWriter(folder, describe(), sorted_keys())
    assert writer.rows == first
    writer.append(values(first, stop),
                  np.full(stop - first, flags, np.uint16), failures or {})
    if stop == CLIPS * VIEWS:
        writer.finish()
    else:
        writer.save()
        # rows that a stopped run had not saved
        writer.append(values(0, 2), np.ones(2, np.uint16), {})
        writer.close()
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def cache(tmp_path):
    return write(tmp_path / 'train')


def dataset(cache, **kwargs):
    return Set(pipeline=kwargs.pop('pipeline', PIPELINE),
               trunk_cache=str(cache), **kwargs)


def test_size_is_known_beforehand(cache):
    assert folder_bytes(cache) == describe().size()


def test_stopped_and_gone_on_gives_the_same_bytes(cache, tmp_path):
    other = tmp_path / 'other/train'
    write(other, stop=7)
    assert not other.exists()
    write(other, first=7)
    assert contents(other) == contents(cache)
    assert [path.name for path in other.parent.iterdir()] == ['train']


def test_another_description_does_not_go_on(tmp_path):
    write(tmp_path / 'train', stop=7)
    with pytest.raises(ValueError, match='seed: stored 0, now 1'):
        CacheWriter(tmp_path / 'train', describe(seed=1), sorted_keys())
    with pytest.raises(ValueError, match='clips are others'):
        CacheWriter(tmp_path / 'train', describe(), sorted_keys() + 1)


def test_half_a_cache_is_none(tmp_path):
    write(tmp_path / 'train', stop=7)
    with pytest.raises(FileNotFoundError, match='cache_trunk.py'):
        dataset(tmp_path / 'train')


def test_samples(cache):
    own, seen = dataset(cache), set()
    for index in [0, 3] * 30:
        data = own[index]
        slow, fast = data['trunk_features']['video']
        assert (slow.dtype, fast.dtype) == (torch.float16, torch.bfloat16)
        assert (slow.shape, fast.shape) == ((1, 3), (1, 2, 2))
        row = int(slow[0, 0])
        assert (slow == row).all() and (fast == row).all()
        # a modality without a trunk is an input as ever
        assert list(data['inputs']) == ['audio']
        assert (data['inputs']['audio'] == row).all()
        assert sorted_keys()[row // VIEWS] == clip_key(record(index))
        sample = data['data_samples']
        assert sample.gt_label.item() == index
        assert (sample.clip_id, sample.domain) == (f'c{index}', 'D1')
        assert sample.trunk_cache == dict(video=TRUNKS['video'])
        assert sample.read_errors == []
        seen.add((index, row % VIEWS))
    assert len(seen) == 2 * VIEWS


def test_a_subset_of_the_modalities(cache):
    data = TrunkCache(cache, PIPELINE).sample(
        {**record(1), 'modalities': ['audio']},
        dataset(cache).pipeline.transforms[-1])
    assert data['trunk_features'] == {} and list(data['inputs']) == ['audio']
    with pytest.raises(ValueError, match="asks for .'flow'."):
        TrunkCache(cache, PIPELINE).sample(
            {**record(1), 'modalities': ['flow']}, None)


def test_findings_of_the_pipeline_come_back(tmp_path):
    absent_sound = bits.ABSENT << 1
    cache = write(tmp_path / 'train', flags=absent_sound
                  | bits.EMPTY_SOUND_SAID | bits.EMPTY_SOUND)
    sample = dataset(cache)[0]['data_samples']
    assert sample.audio_empty is True
    assert sample.modality_mask == dict(video=True, audio=False)
    heard = write(tmp_path / 'heard', flags=bits.EMPTY_SOUND_SAID)
    sample = dataset(heard)[0]['data_samples']
    assert sample.audio_empty is False and 'modality_mask' not in sample


def test_unreadable_clips_follow_on_error(tmp_path):
    failure = ('video', 'a.mp4', 'no such file', 'c')
    cache = write(tmp_path / 'train', flags=bits.UNREADABLE,
                  failures={i: failure for i in range(CLIPS * VIEWS)})
    with pytest.raises(RuntimeError, match='a.mp4: no such file'):
        dataset(cache)[0]
    with pytest.raises(RuntimeError, match='cannot read its video'):
        dataset(cache, on_error='raise')[0]


def test_a_clip_that_is_not_there(cache):
    with pytest.raises(ValueError, match='clip c9 is not in .* 5 clips'):
        TrunkCache(cache, PIPELINE).sample(record(9), None)


def test_a_stale_cache_is_refused_at_start(cache):
    pipeline = [dict(PIPELINE[0], collect_keys=('video', 'sound'))]
    with pytest.raises(ValueError, match=r'pipeline\[0\].collect_keys\[1\]: '
                       'stored audio, now sound'):
        dataset(cache, pipeline=pipeline)
    meta = json.loads((cache / bits.META).read_text())
    (cache / bits.META).write_text(json.dumps({**meta, 'package': '0.0'}))
    with pytest.raises(ValueError, match='package: stored 0.0, now'):
        dataset(cache)


def test_without_a_cache_nothing_is_asked(tmp_path):
    assert Set(pipeline=PIPELINE).trunk_cache is None
    # what the tools do before a model is built
    dataset(tmp_path / 'none', pipeline=[], lazy_init=True)


def test_several_workers_read_and_no_map_is_sent(cache):
    own = dataset(cache)
    own[0]
    assert len(pickle.dumps(own.trunk_cache)) < 5000
    loader = DataLoader(own, 2, num_workers=2, collate_fn=list)
    labels = [int(data['data_samples'].gt_label) for batch in loader
              for data in batch]
    assert labels == list(range(CLIPS))
    again = pickle.loads(pickle.dumps(own))
    shutil.rmtree(cache)
    with pytest.raises(FileNotFoundError):
        again[0]


def test_last_step_must_pack(cache):
    meta = json.loads((cache / bits.META).read_text())
    (cache / bits.META).write_text(json.dumps({**meta, 'pipeline': []}))
    with pytest.raises(ValueError, match='last step .* PackMultiModal'):
        dataset(cache, pipeline=[])[0]


def test_differences_are_named():
    assert list(differences(dict(a=[1, dict(b=2)], c=3),
                            dict(a=[1, dict(b=4)], d=5))) == [
        'a[1].b: stored 2, now 4', 'c: stored 3, now nothing',
        'd: stored nothing, now 5']
    assert list(differences([1], [1, 2])) == [': stored [1], now [1, 2]']
