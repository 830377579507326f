"""What tests read out of a report's Markdown and HTML."""
import re
from html.parser import HTMLParser

VOID = {'meta', 'link', 'img', 'br'}


def markdown_tables(text):
    """The rows of each table, without the line below the heads."""
    tables, rows = [], []
    for line in [*text.splitlines(), '']:
        if line.startswith('|'):
            cells = re.split(r'(?<!\\)\|', line)[1:-1]
            rows.append(tuple(cell.strip().replace(r'\|', '|')
                              for cell in cells))
        elif rows:
            tables.append([rows[0], *rows[2:]])
            rows = []
    return tables


class Page(HTMLParser):
    """Reads a page, and fails where a tag is not closed in order.

    Attributes:
        tables (list): The cells of each, those that span places repeated.
        links, sources, ids, alts, captions, headings (list[str])
    """

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.captions = [], [], []
        self.links, self.sources, self.ids = [], [], []
        self.alts, self.headings, self.scopes = [], [], []
        self.text = ''
        self.feed(text)
        self.close()
        assert not self.open, f'never closed: {self.open}'

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs['href']] if 'href' in attrs else []
        self.sources += [attrs['src']] if 'src' in attrs else []
        self.ids += [attrs['id']] if 'id' in attrs else []
        if tag == 'img':
            self.alts.append(attrs['alt'])
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == 'table':
            self.tables.append({})
            self.row = -1
        elif tag == 'tr':
            self.row, self.column = self.row + 1, 0
        elif tag in ('th', 'td'):
            self.span = (int(attrs.get('rowspan', 1)),
                         int(attrs.get('colspan', 1)))
            if tag == 'th':
                self.scopes.append(attrs['scope'])
        if tag in ('th', 'td', 'caption', 'h1', 'h2', 'h3', 'h4'):
            self.text = ''

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f'</{tag}> closes another tag'
        if tag in ('th', 'td'):
            cells = self.tables[-1]
            while (self.row, self.column) in cells:
                self.column += 1
            for row in range(self.span[0]):
                for column in range(self.span[1]):
                    cells[self.row + row, self.column + column] = (
                        self.text.strip())
        elif tag == 'caption':
            self.captions.append(self.text.strip())
        elif tag in ('h1', 'h2', 'h3', 'h4'):
            self.headings.append((tag, self.text))

    def rows(self, place):
        """A table's rows; heads of two lines are joined as in Markdown."""
        cells = self.tables[place]
        height = 1 + max(row for row, _ in cells)
        width = 1 + max(column for _, column in cells)
        rows = [tuple(cells[row, column] for column in range(width))
                for row in range(height)]
        if height > 1 and len(set(rows[0])) < width:
            # a title above parts stands in neighbouring columns
            head = tuple(a if a == b else f'{a} {b}'
                         for a, b in zip(rows[0], rows[1], strict=True))
            rows[:2] = [head]
        return rows
