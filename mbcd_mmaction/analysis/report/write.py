"""Write a report's files."""
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..records import Records
from .csv_files import comparisons_csv, outputs_csv, scores_csv
from .document import Picture
from .html import to_html
from .markdown import table_text, to_markdown
from .sections import Charts, Report, make_report

__all__ = ['read_pictures', 'write_report']


def write_report(records: Records, out: Path, command: str,
                 datasets: Sequence[str] | None = None,
                 figures: Path | None = None,
                 page: Path | None = None) -> tuple[Report, list[Path]]:
    """Make a report and write it; the same records give the same bytes.

    Args:
        records (Records): What to report.
        out (Path): Folder of the files. Files of other names stay there.
        command (str): Printed as the command that makes the report.
        datasets (Sequence[str], optional): Only these sets.
        figures (Path, optional): Folder of further figures,
            :func:`read_pictures`.
        page (Path, optional): A second copy of the Markdown page, without
            figures, as a document of a repository.

    Returns:
        tuple[Report, list[Path]]: The report, and the files that were
        written.
    """
    pictures, beside = read_pictures(figures) if figures else ([], {})
    report = make_report(records, command, datasets, _charts(), pictures)
    document = report.document
    files: dict[str, str | bytes] = {
        'report.md': to_markdown(document), 'report.html': to_html(document)}
    for table in document.tables():
        if table.name:
            files[f'{table.name}.md'] = table_text(table) + '\n'
    for layout in report.layouts:
        files[f'table_{layout.name}.csv'] = scores_csv(layout, report.runs)
    files['significance.csv'] = comparisons_csv(report.body.comparisons)
    files['outputs.csv'] = outputs_csv(report.layouts, report.runs)
    for picture in document.pictures():
        files[picture.file] = picture.data
    for name, numbers in {**beside, **report.body.numbers}.items():
        files[str(Path(name).with_suffix('.json'))] = json.dumps(
            numbers, indent=1, ensure_ascii=False) + '\n'
    written = [_write(Path(out) / name, content)
               for name, content in files.items()]
    if page is not None:
        written.append(_write(Path(page),
                              to_markdown(document, pictures=False)))
    return report, written


def read_pictures(folder: Path
                  ) -> tuple[list[Picture], Mapping[str, dict]]:
    """The PNG files of a folder, by name, and what lies beside them.

    ``NAME.json`` beside ``NAME.png`` holds the figure's numbers, and may have
    a ``caption`` and a text for those who do not see it, ``alt``.

    Args:
        folder (Path): Where the figures are.

    Returns:
        tuple: The pictures, and each one's file to the content of its JSON.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a file is no PNG.
    """
    paths = sorted(Path(folder).glob('*.png'))
    if not paths:
        raise FileNotFoundError(f'expected figures NAME.png in {folder}, '
                                'found none')
    pictures, beside = [], {}
    for path in paths:
        data = path.read_bytes()
        if not data.startswith(b'\x89PNG\r\n\x1a\n'):
            raise ValueError(f'expected a PNG file, got {path}, which begins '
                             f'with {data[:8]!r}')
        file, numbers = f'figures/{path.name}', path.with_suffix('.json')
        about = {}
        if numbers.is_file():
            about = beside[file] = json.loads(numbers.read_text('utf-8'))
        caption = path.stem.replace('_', ' ')
        if isinstance(about, dict):
            caption = about.get('caption', caption)
        alt = about.get('alt', caption) if isinstance(about, dict) else caption
        pictures.append(Picture(file, caption, alt, data))
    return pictures, beside


def _charts() -> Charts | None:
    """What makes the figures; None where matplotlib is not installed."""
    if importlib.util.find_spec('matplotlib') is None:
        return None
    from .charts import charts_of
    return charts_of


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str)
                     else content)
    return path
