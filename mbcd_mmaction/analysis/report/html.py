"""A report as one HTML page that needs nothing beside it."""
import base64
import itertools
import re
from collections.abc import Iterator, Sequence
from html import escape

from .document import (
    MISSING,
    UNKNOWN,
    Block,
    Document,
    Heading,
    Items,
    Picture,
    Table,
)
from .style import STYLE

__all__ = ['to_html']

# A browser that keeps to it loads nothing that is not in the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
{opening}
<nav aria-label="Contents">
{contents}
</nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def to_html(document: Document) -> str:
    """The whole page.

    Args:
        document (Document): The report; what comes before its first heading
            opens the page, above the contents.
    """
    blocks = list(document.blocks)
    first = next((place for place, block in enumerate(blocks)
                  if isinstance(block, Heading)), len(blocks))
    anchors = _anchors(blocks)
    counter = itertools.count(1)

    def write(some: Sequence[Block]) -> str:
        return '\n'.join(_block(block, anchors, next(counter))
                         for block in some)

    return PAGE.format(
        title=escape(document.title), policy=POLICY, style=STYLE,
        opening=write(blocks[:first]), contents=_contents(blocks, anchors),
        body=write(blocks[first:]))


def _anchors(blocks: Sequence[Block]) -> dict[int, str]:
    """Each heading's own name, by the heading's identity."""
    anchors: dict[int, str] = {}
    above: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            word = re.sub(r'[^a-z0-9]+', '-', block.text.lower()).strip('-')
            above = [*above[:block.level - 2], word]
            anchors[id(block)] = '-'.join(above)
    return anchors


def _contents(blocks: Sequence[Block], anchors: dict[int, str]) -> str:
    """Links to the sections, and in their lines to what is below them."""
    lines: list[tuple[str, list[str]]] = []
    for block in blocks:
        if not isinstance(block, Heading) or block.level > 3:
            continue
        link = f'<a href="#{anchors[id(block)]}">{escape(block.text)}</a>'
        if block.level == 2 or not lines:
            lines.append((link, []))
        else:
            lines[-1][1].append(f'<li>{link}</li>')
    return '<ul>\n' + '\n'.join(
        f'<li>{link}' + (f'\n<ul>{"".join(below)}</ul>' if below else '')
        + '</li>' for link, below in lines) + '\n</ul>'


def _block(block: Block, anchors: dict[int, str], number: int) -> str:
    if isinstance(block, Heading):
        return (f'<h{block.level} id="{anchors[id(block)]}">'
                f'{_text(block.text)}</h{block.level}>')
    if isinstance(block, Items):
        return '<ul>\n' + '\n'.join(
            f'<li>{_text(text)}</li>' for text in block.texts) + '\n</ul>'
    if isinstance(block, Table):
        return _table(block, f'table-{number}')
    if isinstance(block, Picture):
        return _picture(block)
    return f'<p>{_text(block.text)}</p>'


def _text(text: str) -> str:
    """Words between backticks become code."""
    return re.sub(r'`([^`]+)`', r'<code>\1</code>', escape(text))


def _picture(picture: Picture) -> str:
    kind = 'png' if picture.data.startswith(b'\x89PNG') else 'svg'
    data = base64.b64encode(picture.data).decode()
    mime = dict(png='image/png', svg='image/svg+xml')[kind]
    return ('<figure>\n<div class="scroll" tabindex="0" role="region" '
            f'aria-label="Figure">\n<img class="{kind}" '
            f'alt="{escape(picture.alt)}" src="data:{mime};base64,{data}">\n'
            f'</div>\n<figcaption>{_text(picture.caption)}</figcaption>\n'
            '</figure>')


def _table(table: Table, name: str) -> str:
    """A table that scrolls by itself where the window is narrow."""
    title, dot, rest = table.caption.partition('. ')
    caption = f'<strong>{_text(title)}{dot.strip()}</strong> {_text(rest)}'
    body = '\n'.join(_bodies(table))
    return (f'<div class="scroll" tabindex="0" role="region" '
            f'aria-labelledby="{name}">\n<table>\n'
            f'<caption id="{name}">{caption.strip()}</caption>\n'
            f'<thead>\n{_heads(table)}\n</thead>\n{body}\n</table>\n</div>')


def _heads(table: Table) -> str:
    """One line of titles, or two where titles have parts."""
    two = any(part for _, part in table.heads)
    upper, lower = [], []
    for title, columns in itertools.groupby(
            enumerate(table.heads), key=lambda item: item[1][0]):
        places = [place for place, _ in columns]
        kind = _kind(table, places[0])
        parts = [table.heads[place][1] for place in places]
        if two and any(parts):
            upper.append('<th scope="colgroup" class="first" '
                         f'colspan="{len(parts)}">{escape(title)}</th>')
            lower += [f'<th scope="col"{_kind(table, place)}>'
                      f'{escape(part)}</th>'
                      for place, part in zip(places, parts, strict=True)]
        else:
            rows = ' rowspan="2"' if two else ''
            upper += [f'<th scope="col"{kind}{rows}>{escape(title)}</th>'
                      for _ in places]
    return '\n'.join(f'<tr>{"".join(line)}</tr>'
                     for line in (upper, lower) if line)


def _kind(table: Table, place: int, text: str = '') -> str:
    """The classes of a column, or of a cell of it."""
    title, part = table.heads[place]
    kinds = {
        'stub': place < table.stubs, 'name': place == table.stubs - 1,
        'words': place in table.words, 'none': text == MISSING,
        'paper': part == 'paper' or text == UNKNOWN,
        'first': bool(part) and table.heads[place - 1][0] != title,
    }
    names = ' '.join(name for name, holds in kinds.items() if holds)
    return f' class="{names}"' if names else ''


def _bodies(table: Table) -> Iterator[str]:
    """One body, or one a group."""
    if table.stubs < 2:
        yield '<tbody>\n' + '\n'.join(
            f'<tr>{_row(table, row)}</tr>' for row in table.rows
        ) + '\n</tbody>'
        return
    for title, rows in itertools.groupby(table.rows,
                                         key=lambda row: row[0]):
        lines = [_row(table, row) for row in rows]
        lines[0] = (f'<th scope="rowgroup" class="group" rowspan='
                    f'"{len(lines)}">{escape(title)}</th>' + lines[0])
        yield '<tbody>\n' + '\n'.join(
            f'<tr>{line}</tr>' for line in lines) + '\n</tbody>'


def _row(table: Table, row: Sequence[str]) -> str:
    """From the column that names the row on."""
    start = table.stubs - 1
    texts = [f'<th scope="row">{escape(row[start])}</th>']
    for place in range(start + 1, len(row)):
        kind = _kind(table, place, row[place])
        texts.append(f'<td{kind}>{escape(row[place])}</td>')
    return ''.join(texts)
