"""What may be wrong with a set."""
from typing import NamedTuple

# Kind: whether it fails the check, and what it means.
KINDS = {
    'dataset': (True, 'a dataset cannot be listed at all'),
    'label': (True, 'label outside of the classes'),
    'num_classes': (True, 'model and dataset differ in the number of '
                    'classes'),
    'missing': (True, 'no such file'),
    'empty file': (True, '0 bytes'),
    'unreadable': (True, 'not a media file, cut off or without the stream'),
    'no sound': (True, 'there is no sound track'),
    'zero length': (True, 'no frames or samples'),
    'empty segment': (True, 'a clip stops before it starts'),
    'beyond the end': (True, 'a clip reaches beyond the end of its file'),
    'flow length': (True, 'flow has neither the rate of its video nor half '
                    'of it'),
    'domain overlap': (True, 'the target is also a source'),
    'pipeline': (True, 'the pipeline fails on a clip'),
    'split overlap': (False, 'a clip of train, or a part of it, is also in '
                      'val'),
    'duplicate': (False, 'a clip stands twice in a split'),
    'two labels': (False, 'a clip stands in a split with several labels'),
    'same content': (False, 'files of other names with the same bytes'),
    'rate': (False, 'another rate than most files of its domain'),
    'silent': (False, 'a clip without any sound in it'),
    'no clips': (False, 'a class has no clip in a split'),
}


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind (str): A key of ``KINDS``.
        where (str): The clip or the file.
        text (str): What is wrong with it.
        splits (tuple[str, ...]): The splits in which it matters.
        num_clips (int): How many clips it concerns.
    """
    kind: str
    where: str
    text: str
    splits: tuple[str, ...]
    num_clips: int = 1

    @property
    def is_error(self) -> bool:
        """Whether it fails the check."""
        return KINDS[self.kind][0]
