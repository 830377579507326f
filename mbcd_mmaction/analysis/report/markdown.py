"""A report as Markdown."""
from ..tables import markdown
from .document import Block, Document, Heading, Items, Picture, Table

__all__ = ['table_text', 'to_markdown']


def to_markdown(document: Document, pictures: bool = True) -> str:
    """The whole page.

    Args:
        document (Document): The report.
        pictures (bool): False leaves the figures out, for a page that lies
            elsewhere than their files.
    """
    blocks = [_block(block) for block in document.blocks
              if pictures or not isinstance(block, Picture)]
    return '\n\n'.join([f'# {document.title}', *blocks]) + '\n'


def table_text(table: Table) -> str:
    """Caption and table."""
    heads = [' '.join(filter(None, head)) for head in table.heads]
    title, dot, rest = table.caption.partition('. ')
    caption = f'**{title}{dot.strip()}** {rest}'.strip()
    return f'{caption}\n\n' + markdown(
        [_cell(head) for head in heads],
        [[_cell(cell) for cell in row] for row in table.rows],
        left=(*range(table.stubs), *table.words))


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f'{"#" * block.level} {block.text}'
    if isinstance(block, Items):
        return '\n'.join(f'- {text}' for text in block.texts)
    if isinstance(block, Table):
        return table_text(block)
    if isinstance(block, Picture):
        return f'![{_cell(block.alt)}]({block.file})\n\n{block.caption}'
    return block.text


def _cell(text: str) -> str:
    """A bar would end the cell, and a newline the row."""
    return ' '.join(text.replace('|', r'\|').split())
