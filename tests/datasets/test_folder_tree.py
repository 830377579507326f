"""A manifest from folders: what is found, and where it is put."""
import csv
from collections import Counter

import pytest

from mbcd_mmaction.datasets.extraction.folder_tree import (
    list_videos,
    summary,
    write_rows,
)


def fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tree(count=20, domains=('home', 'office'), classes=('run', 'sit')):
    return [f'{d}/{c}/{i:02d}.mp4' for d in domains for c in classes
            for i in range(count)]


def splits(folder, **options):
    return {row.video: row.split for row in list_videos(folder, **options)}


def test_rows(tmp_path):
    fill(tmp_path, ['home/run/a.mp4', 'home/run/deep/b.MOV', 'home/sit/c.mkv',
                    'street/run/d e,f.webm', 'home/run/notes.txt',
                    '.hidden/run/a.mp4', 'home/run/.a.mp4',
                    'derived/flow/home/run/a_x.mp4'])
    rows = list_videos(tmp_path)
    assert [row[:3] for row in rows] == [
        ('home/run/a.mp4', 'run', 'home'),
        ('home/run/deep/b.MOV', 'run', 'home'),
        ('home/sit/c.mkv', 'sit', 'home'),
        ('street/run/d e,f.webm', 'run', 'street')]
    # Two of a kind are one each; one alone trains.
    assert {row.split for row in rows[:2]} == {'train', 'test'}
    assert [row.split for row in rows[2:]] == ['train', 'train']


def test_split_by_name_alone(tmp_path):
    fill(tmp_path / 'a', tree(50))
    first = splits(tmp_path / 'a')
    share = Counter(first.values())['test'] / len(first)
    assert .12 < share < .28
    fill(tmp_path / 'b', reversed(tree(50)))
    assert splits(tmp_path / 'b') == first
    fill(tmp_path / 'a', tree(80) + tree(5, domains=['street']))
    more = splits(tmp_path / 'a')
    assert len(more) == 330
    assert {name: more[name] for name in first} == first


@pytest.mark.parametrize('share', [.01, .5, .99])
def test_both_splits_of_every_domain_and_class(tmp_path, share):
    fill(tmp_path, tree(3))
    rows = list_videos(tmp_path, share)
    assert len({row[1:] for row in rows}) == 2 * 2 * 2


def test_no_test_split(tmp_path):
    fill(tmp_path, tree(9))
    assert set(splits(tmp_path, test_share=0).values()) == {'train'}


@pytest.mark.parametrize('share', [-.1, 1, 2])
def test_share_out_of_range(tmp_path, share):
    with pytest.raises(ValueError, match='from 0 to below 1'):
        list_videos(tmp_path, share)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='found none at'):
        list_videos(tmp_path / 'no_such')
    fill(tmp_path, ['home/run/a.txt'])
    with pytest.raises(FileNotFoundError, match='DOMAIN/CLASS/, found none'):
        list_videos(tmp_path)


@pytest.mark.parametrize('name', ['a.mp4', 'home/a.mp4'])
def test_a_video_outside_of_the_folders(tmp_path, name):
    fill(tmp_path, [*tree(2), name])
    with pytest.raises(ValueError, match='expected videos in .*DOMAIN/CLASS'):
        list_videos(tmp_path)


@pytest.mark.parametrize('name', [' home/run/a.mp4', 'home/run /a.mp4'])
def test_a_name_that_a_manifest_would_lose(tmp_path, name):
    fill(tmp_path, [*tree(2), name])
    with pytest.raises(ValueError, match='without white space around it'):
        list_videos(tmp_path)


def test_one_that_stood_in_goes_back(tmp_path):
    """The one exception to a split by name alone."""
    fill(tmp_path, ['home/run/12.mp4', 'home/run/13.mp4'])
    assert splits(tmp_path, test_share=.01) == {
        'home/run/12.mp4': 'train', 'home/run/13.mp4': 'test'}
    fill(tmp_path, [f'home/run/{number}.mp4' for number in range(300)])
    more = splits(tmp_path, test_share=.01)
    assert 'test' in more.values()
    assert more['home/run/13.mp4'] == 'train'


def test_file(tmp_path):
    fill(tmp_path, ['home/run/a, "b".mp4', 'home/run/c.mp4'])
    rows = list_videos(tmp_path)
    write_rows(tmp_path / 'm.csv', rows)
    with open(tmp_path / 'm.csv', newline='', encoding='utf-8') as file:
        found = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in found] == rows
    assert [path.name for path in tmp_path.glob('m.csv*')] == ['m.csv']


def test_summary(tmp_path):
    fill(tmp_path, tree(2) + ['home/cartwheel/a.mp4'])
    lines = summary(list_videos(tmp_path)).splitlines()
    assert lines[0] == "classes = ['cartwheel', 'run', 'sit']"
    assert lines[1] == "domains = ['home', 'office']"
    assert lines[-2].split() == ['home', '1/0', '1/1', '1/1']
    assert lines[-1].split() == ['office', '0/0', '1/1', '1/1']
    assert len({len(line) for line in lines[-3:]}) == 1
