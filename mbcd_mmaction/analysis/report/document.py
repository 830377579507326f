"""A report before it is Markdown or HTML: headings, texts, tables, figures."""
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ['MISSING', 'UNKNOWN', 'Block', 'Document', 'Heading', 'Items',
           'Picture', 'Table', 'Text']

MISSING = 'missing'  # ours, to be run
UNKNOWN = '-'  # the paper's, not known


@dataclass(frozen=True)
class Heading:
    """A heading below the title: level 2, 3, 4."""
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; words between backticks are code."""
    text: str


@dataclass(frozen=True)
class Items:
    """A list of paragraphs."""
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns.

    Attributes:
        caption (str): What it shows.
        heads (tuple[tuple[str, str]]): A title and a part of it a column;
            neighbours of one title stand below it. The part may be ''.
        rows (tuple[tuple[str, ...]]): As long as ``heads``.
        stubs (int): Columns that name the row. With two the first one names
            the group that its rows are in.
        name (str): Of its own file, '' for none.
        words (tuple[int, ...]): Columns of text, not of numbers.
    """
    caption: str
    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    stubs: int = 1
    name: str = ''
    words: tuple[int, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        file (str): Its path, relative to the report.
        caption (str): What it shows.
        alt (str): The same for those who do not see it.
        data (bytes): SVG or PNG.
    """
    file: str
    caption: str
    alt: str
    data: bytes


Block = Heading | Text | Items | Table | Picture


@dataclass(frozen=True)
class Document:
    """A title and what comes below it."""
    title: str
    blocks: tuple[Block, ...]

    def tables(self) -> list[Table]:
        """All of them, in order."""
        return [block for block in self.blocks if isinstance(block, Table)]

    def pictures(self) -> list[Picture]:
        """All of them, in order."""
        return [block for block in self.blocks if isinstance(block, Picture)]


def plain(*titles: str) -> tuple[tuple[str, str], ...]:
    """Heads of a table without parts."""
    return tuple((title, '') for title in titles)


def join(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return ' and '.join(filter(None, (', '.join(names[:-1]), *names[-1:])))
