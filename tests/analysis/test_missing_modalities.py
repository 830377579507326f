"""Subsets of modalities."""
import pytest

from mbcd_mmaction.analysis.missing_modalities import subset_name, subsets


def test_three_by_hand():
    assert [subset_name(s) for s in subsets(['video', 'flow', 'audio'])] == [
        'video', 'flow', 'audio', 'video + flow', 'video + audio',
        'flow + audio', 'video + flow + audio']


@pytest.mark.parametrize('count', [2, 4, 5])
def test_as_many_as_there_are(count):
    names = list('abcde'[:count])
    found = subsets(names)
    assert len(found) == len(set(found)) == 2**count - 1
    assert found[-1] == tuple(names)
    assert [len(s) for s in found] == sorted(len(s) for s in found)
