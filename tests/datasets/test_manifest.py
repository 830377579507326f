"""A person's own list of clips."""
import json
import os

import pytest
import tiny_sets
from mmaction.registry import DATASETS

from mbcd_mmaction.datasets import ManifestDataset, read_manifest
from mbcd_mmaction.datasets.derived import audio_path, flow_paths

CLASSES = ['cut', 'pour']


@pytest.fixture
def manifest(tmp_path):
    """Writes rows; paths need not exist."""

    def make(*rows, name='manifest.csv', **kwargs):
        rows = [dict(dict(video='a.mp4', label=0, domain='d', split='train'),
                     **row) for row in rows]
        tiny_sets.write_manifest(tmp_path / name, rows, **kwargs)
        return str(tmp_path / name)

    return make


def listed(path, **kwargs):
    kwargs = dict(dict(domains='d', split='train', modalities=['video']),
                  **kwargs)
    dataset = ManifestDataset(path, **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_a_whole_row(manifest, tmp_path):
    path = manifest(dict(
        video='sub/a.mp4', flow_x='x.mp4', flow_y='y.mp4', audio='a.wav',
        start=1.5, stop='00:00:04.25', label=1))
    record, = listed(path, modalities=['video', 'flow', 'audio'])
    assert record == dict(
        label=1, domain='d', split='train', clip_id='d_sub/a.mp4_1.5-4.25',
        video_id='sub/a.mp4', start=1.5, stop=4.25, sample_idx=0,
        modalities=['video', 'flow', 'audio'],
        sources=dict(
            video=dict(filename=f'{tmp_path}/sub/a.mp4', modality='RGB',
                       start_index=0, segment=(1.5, 4.25)),
            # Flow files are the clip's own: they start with it.
            flow=dict(filename=(f'{tmp_path}/x.mp4', f'{tmp_path}/y.mp4'),
                      modality='Flow', start_index=0, segment=None),
            audio=dict(filename=f'{tmp_path}/a.wav', modality='Audio',
                       segment=(1.5, 4.25))))


@pytest.mark.parametrize('name,kwargs', [
    ('m.csv', {}), ('m.csv', dict(delimiter=';')),
    ('m.csv', dict(delimiter='\t')), ('m.jsonl', {})])
def test_kinds_of_files_say_the_same(manifest, tmp_path, name, kwargs):
    rows = read_manifest(manifest(
        dict(video='a,b;c.mp4', start=2, label='cut'), dict(label=1),
        name=name, **kwargs))
    first, second = rows
    assert first['video'] == f'{tmp_path}/a,b;c.mp4'
    assert (first['start'], first['stop'], first['label']) == (2.0, None,
                                                               'cut')
    assert (second['start'], second['label']) == (None, 1)
    assert second['audio'] is second['flow_x'] is None


def test_columns_in_any_order_and_others_beside_them(tmp_path,
                                                      monkeypatch):
    said = []
    monkeypatch.setattr('mbcd_mmaction.datasets.manifest_file.print_log',
                        lambda text, logger: said.append(text))
    path = tmp_path / 'm.csv'
    path.write_bytes(
        '\ufeffdomain , note,label,video,,\r\nd,hello,1, b.mp4 ,,\r\n'
        .encode())
    row, = read_manifest(str(path))
    assert read_manifest(str(path)) == [row]  # said the first time only
    assert len(said) == 1
    assert f"{path}: passing over the columns ['note']; known" in said[0]
    assert (row['domain'], row['label']) == ('d', 1)
    assert row['video'] == str(tmp_path / 'b.mp4')
    assert row['split'] is None


def test_paths_are_relative_to_the_data_root(manifest, tmp_path):
    path = manifest(dict(video='a.mp4'), dict(video='/else/b.mp4'))
    first, second = listed(path, data_root=str(tmp_path / 'media'))
    assert first['sources']['video']['filename'] == (
        f'{tmp_path}/media/a.mp4')
    assert second['sources']['video']['filename'] == '/else/b.mp4'


def test_half_given_times(manifest):
    path = manifest(dict(start=3), dict(stop=2), {})
    found = listed(path)
    segments = [r['sources']['video']['segment'] for r in found]
    assert segments == [(3.0, None), (0.0, 2.0), None]
    assert [r['clip_id'] for r in found] == [
        'd_a.mp4_3.0-end', 'd_a.mp4_0.0-2.0', 'd_a.mp4']


def test_names_of_derived_files(tmp_path):
    root, cache = str(tmp_path), str(tmp_path / 'derived')
    video = f'{root}/k/a.mp4'
    assert flow_paths(cache, root, video) == (
        f'{cache}/flow/k/a.mp4_x.mp4', f'{cache}/flow/k/a.mp4_y.mp4')
    assert flow_paths(cache, root, video, (1.0, 2.5))[0] == (
        f'{cache}/flow/k/a.mp4_1.000-2.500_x.mp4')
    assert flow_paths(cache, root, video, (1.0, None))[1] == (
        f'{cache}/flow/k/a.mp4_1.000-end_y.mp4')
    assert audio_path(cache, root, video) == f'{cache}/audio/k/a.mp4.wav'
    # Elsewhere: equal names in different folders stay apart.
    outside = [audio_path(cache, root, f'/else/{x}/a.mp4') for x in 'pq']
    assert outside[0] != outside[1]
    assert all(path.startswith(f'{cache}/audio/external/')
               and path.endswith('/a.mp4.wav') for path in outside)
    # The suffix tells a.mp4 and a.avi apart.
    assert audio_path(cache, root, f'{root}/a.avi') != audio_path(
        cache, root, f'{root}/a.mp4')


def test_sound_is_derived_if_there_else_the_videos_own(manifest, tmp_path):
    path = manifest(dict(video='a.mp4'), dict(video='b.mp4', start=1, stop=2))
    wav = tmp_path / 'derived/audio/b.mp4.wav'
    wav.parent.mkdir(parents=True)
    wav.touch()
    first, second = listed(path, modalities=['audio'])
    assert first['sources']['audio'] == dict(
        filename=str(tmp_path / 'a.mp4'), modality='Audio', segment=None)
    assert second['sources']['audio'] == dict(
        filename=str(wav), modality='Audio', segment=(1.0, 2.0))


def test_flow_is_derived_or_an_error_says_how(manifest, tmp_path):
    path = manifest(dict(start=1, stop=2))
    with pytest.raises(FileNotFoundError,
                       match=r'line 2: names no flow.*extract_flow.py .*'
                       r'manifest.csv.*leave flow out'):
        ManifestDataset(path, 'd', 'train')
    place = tmp_path / 'elsewhere'
    for name in flow_paths(str(place), str(tmp_path), f'{tmp_path}/a.mp4',
                           (1.0, 2.0)):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, 'w').close()
    record, = listed(path, modalities=['flow'], cache=str(place))
    x, y = record['sources']['flow']['filename']
    assert x == f'{place}/flow/a.mp4_1.000-2.000_x.mp4'
    assert record['sources']['flow']['segment'] is None


def test_flow_of_the_first_clip_alone_may_be_absent(manifest, tmp_path):
    """Its video may be the one that cannot be read."""
    path = manifest(dict(video='a.mp4'), dict(video='b.mp4'))
    for name in flow_paths(str(tmp_path / 'derived'), str(tmp_path),
                           f'{tmp_path}/b.mp4'):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        open(name, 'w').close()
    assert len(ManifestDataset(path, 'd', 'train')) == 2


def test_modalities_that_are_not_asked_for_are_not_looked_for(manifest):
    record, = listed(manifest({}), modalities=['video', 'audio'])
    assert list(record['sources']) == ['video', 'audio']


def test_class_names(manifest):
    path = manifest(dict(label='pour'), dict(label='cut'), dict(label=1))
    dataset = ManifestDataset(path, 'd', 'train', ['video'], classes=CLASSES)
    assert [dataset.get_data_info(i)['label'] for i in range(3)] == [1, 0, 1]
    assert dataset.metainfo['classes'] == ('cut', 'pour')
    assert dataset.num_classes == 2


def test_the_same_clip_in_two_rows(manifest):
    path = manifest(dict(label=0), dict(label=1), dict(start=1))
    ids = [record['clip_id'] for record in listed(path)]
    assert len(set(ids)) == 3 and ids[1] == ids[0] + '#2'


def test_no_two_clips_have_one_name(manifest):
    rows = [dict(video='c#2', domain='a_b'), dict(video='c', domain='a_b'),
            dict(video='b_c', domain='a'), dict(video='c', domain='a_b')]
    found = listed(manifest(*rows), domains=['a', 'a_b'])
    assert len({record['clip_id'] for record in found}) == 4


def test_what_the_host_is_told(manifest, tmp_path):
    dataset = ManifestDataset(
        manifest({}, dict(label=1)), 'd', None, ['video'], indices=1,
        metainfo=dict(dataset_type='mine'))
    assert len(dataset) == 1
    assert dataset.metainfo == dict(
        dataset_type='mine', classes=(), domains=('d', ))
    assert dataset.data_root == str(tmp_path)
    assert dataset.get_cat_ids(0) == [0]


def test_records_are_small(manifest):
    """A set of a million clips must fit into memory."""
    rows = [dict(video=f'kitchen/{n:06d}.mp4', start=n, stop=n + 2)
            for n in range(50)]
    path = manifest(*rows)
    sizes = [len(ManifestDataset(path, 'd', 'train', ['video', 'audio'],
                                 indices=count).data_bytes)
             for count in (10, 50)]
    paths = 3 * len(os.path.dirname(path))
    assert (sizes[1] - sizes[0]) / 40 < paths + 500


def test_splits_and_domains_are_chosen(manifest):
    path = manifest(dict(split='train', domain='a'),
                    dict(split='val', domain='a'),
                    dict(split='train', domain='b'))
    assert len(listed(path, domains=['a', 'b'])) == 2
    assert len(listed(path, domains='a', split=['train', 'val'])) == 2
    assert len(listed(path, domains='a', split=None)) == 2


@pytest.mark.parametrize('rows,kwargs,match', [
    ([dict(label='fry')], {}, "line 2: label 'fry' is text.*classes"),
    ([dict(label='fry')], dict(classes=CLASSES),
     r"'fry' is no class.*\['cut', 'pour'\]"),
    ([{}, dict(label=-1)], dict(num_classes=2),
     r'manifest.csv, line 3: labels: expected 0 to 1 .*got -1'),
    ([{}, dict(label=2)], dict(classes=CLASSES), 'line 3.*0 to 1.*got 2'),
    ([{}, dict(label=-2)], {}, 'line 3.* 0 or more, got -2'),
    ([dict(label='1_0')], {}, "label '1_0' is text"),
    ([dict(label=1.5)], {}, "label '1.5' is text"),
    ([dict(label='')], {}, 'line 2: label must not be blank'),
    ([{}, dict(video='  ')], {}, 'line 3: video must not be blank'),
    ([dict(domain='')], {}, 'domain must not be blank'),
    ([dict(start=4, stop=3)], {}, 'stop to be later.*start=4.0.*stop=3.0'),
    ([dict(start=4, stop=4)], {}, 'stop to be later'),
    ([dict(stop=0)], {}, 'stop to be later'),
    ([dict(start=-1)], {}, 'line 2, start: expected seconds.*-1'),
    ([dict(stop='soon')], {}, "line 2, stop: expected seconds.*'soon'"),
    ([dict(stop='2,5')], {}, "line 2, stop: .*a point for decimals.*'2,5'"),
    ([dict(stop='1:-5')], {}, "line 2, stop: .*0 or more.*'1:-5'"),
    ([dict(start='nan', stop=3)], {}, 'line 2, start'),
    ([dict(flow_x='x.mp4')], {}, 'line 2: flow has two files'),
    ([dict(split='')], {}, r'line 2: split is blank \(1 such rows\)'),
    ([{}, dict(domain='e', split='val')], dict(domains=['d', 'e']),
     r"no clips of domain 'e' in split \['train'\].*\['val'\]"),
    ([{}, dict(domain='e', split='val')], dict(split='val'),
     r"no clips of domain 'd' in split \['val'\].*\['train'\]"),
    ([{}], dict(split=[]), r'split.*got \[\]'),
    ([{}], dict(num_classes=0), 'num_classes: expected .* 1 or more, got 0'),
    ([{}], dict(num_classes=True), 'num_classes: expected .*got True'),
    ([{}], dict(classes=['a', 'a']), "classes: .*each once.*'a', 'a'"),
    ([{}], dict(classes='ab'), "classes: expected a list.*'ab'"),
    ([{}], dict(classes=['1', '0']), "classes: '1' would be read as"),
    ([{}], dict(domains='e'), r"domains.*some of \['d'\].*got \['e'\]"),
    ([{}], dict(split='test'), r"split.*some of \['train'\].*got \['test'\]"),
    ([{}], dict(modalities=['smell']), 'modalities.*smell'),
    ([{}], dict(classes=CLASSES, num_classes=3), 'num_classes=2.*got 3'),
])
def test_mistakes_are_named(manifest, rows, kwargs, match):
    with pytest.raises(ValueError, match=match):
        listed(manifest(*rows), **kwargs)


@pytest.mark.parametrize('content,name,match', [
    (b'', 'm.csv', 'expected a first line with the columns'),
    (b'video,label\na.mp4,1\n', 'm.csv', "'domain'.*got.*'label'"),
    (b'video,label,domain,label\n', 'm.csv', 'each once'),
    (b'video,label,domain\n', 'm.csv', 'at least one clip'),
    (b'video,label,domain\na,b.mp4,1,d\n', 'm.csv',
     'line 2: expected 3 cells, got 4'),
    (b'video|label|domain\na.mp4|1|d\n', 'm.csv',
     r"separated by commas, semicolons or tabs; got \['video\|label"),
    # The mark of a quotation that never ends would swallow all rows.
    (b'video,label,domain\n"a.mp4,1,d\nb.mp4,1,d\n', 'm.csv',
     r'line 2: no CSV \(unexpected end'),
    ('video,label,domain\n'.encode('utf-16'), 'm.csv',
     'line 1: expected UTF-8, got the byte 0xff at position 0'),
    (b'video,label,domain\ncaf\xe9.mp4,1,d\n', 'm.csv',
     'line 2: expected UTF-8, got the byte 0xe9 at position 22'),
    (b'{"video": 1, "label": 1, "domain": "d"}\n', 'm.jsonl',
     'line 1: expected video to be a path in UTF-8, got 1'),
    (b'{"video": "\\ud800", "label": 1, "domain": "d"}\n', 'm.jsonl',
     r"line 1: expected video to be a path in UTF-8, got '\\ud800'"),
    (b'{"video": "a\\u0000", "label": 1, "domain": "d"}\n', 'm.jsonl',
     'line 1: expected video to be a path'),
    (b'{"video": ["a"], "label": 1, "domain": "d"}\n', 'm.jsonl',
     'line 1: expected video to be a path'),
    (b'\n{"video": "a"', 'm.jsonl', 'line 2: not JSON'),
    (b'["a"]\n', 'm.jsonl', r'line 1: expected an object'),
    (b'{"video": "a", "label": true, "domain": "d"}\n', 'm.jsonl',
     'label to be a whole number.*True'),
    (b'', 'm.jsonl', 'at least one clip'),
    (b'', 'm.txt', r'expected a \.csv or \.jsonl'),
])
def test_bad_files(tmp_path, content, name, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=match):
        read_manifest(str(tmp_path / name))


def test_no_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match='own_data.md'):
        read_manifest(str(tmp_path / 'none.csv'))


def test_from_a_config_and_lazily(manifest):
    dataset = DATASETS.build(dict(
        type='ManifestDataset', ann_file=manifest({}), domains=['d'],
        split='train', modalities=['video'], lazy_init=True))
    assert dataset[0]['label'] == 0
    assert dataset.metainfo['dataset_type'] == 'manifest'


def test_names_that_are_not_ascii(tmp_path):
    # The last is a line end to str.splitlines, and allowed in JSON.
    row = dict(video='Küche/шаг 1.mp4', label=0, domain='キッチン',
               note='a\u2028b')
    (tmp_path / 'm.jsonl').write_text(
        json.dumps(row, ensure_ascii=False), encoding='utf-8')
    record, = listed(str(tmp_path / 'm.jsonl'), domains='キッチン', split=None)
    assert record['clip_id'] == 'キッチン_Küche/шаг 1.mp4'
