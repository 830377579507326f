"""tools/report.py, its page in a browser, and what docs/report.md says."""
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from report_page import Page
from run_records import failure, mini_set, record, whole, write

from mbcd_mmaction.analysis.records import read_records
from mbcd_mmaction.analysis.report.cells import p_text
from mbcd_mmaction.analysis.report.significance import (
    LEAST_PAIRS,
    LEAST_SEEDS,
    MOST_ENUMERATED,
    smallest_p,
)
from mbcd_mmaction.analysis.report.write import write_report

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs/report.md').read_text()
COMMANDS = [line for block in re.findall(r'```bash\n(.*?)```', TEXT, re.S)
            for line in block.splitlines()]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f'none of {BROWSERS} is installed')


@pytest.fixture
def run_tool(monkeypatch, tmp_path):
    """A command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(command):
        python, tool, *words = shlex.split(command)
        assert python == 'python'
        monkeypatch.setattr(sys, 'argv', [tool, *words])
        return runpy.run_path(str(ROOT / tool))['main']()

    return run


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """A report with gaps, of two sets."""
    folder = tmp_path_factory.mktemp('report')
    lines = [*whole('mini', ('erm', 'ema', 'mbcd')),
             *whole('epic', ('erm', 'mbcd'), (0, )),
             failure(method='cmrf', target='D3', seed=1)]
    records = read_records([write(folder / 'r.jsonl', lines)])
    write_report(records, folder, 'python tools/report.py')
    return folder / 'report.html'


def browse(page, tmp_path, *options):
    """Open a page; what it is afterwards, and what the console says."""
    done = subprocess.run(
        [BROWSER, '--headless', '--no-sandbox', '--disable-gpu',
         '--disable-quic', '--no-first-run', '--disable-sync',
         '--disable-background-networking', '--disable-component-update',
         f'--user-data-dir={tmp_path / "profile"}', '--hide-scrollbars',
         '--enable-logging=stderr', '--v=0', '--dump-dom', *options,
         page.resolve().as_uri()],
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines()
                         if 'CONSOLE' in line]


def test_there_are_commands():
    assert len(COMMANDS) == 4


@pytest.mark.parametrize('command', COMMANDS)
def test_commands_of_the_docs(command, run_tool, tmp_path, capsys):
    lines = dict(benchmark=mini_set(), epic=whole('epic', ('erm', )),
                 hac=whole('hac', ('mbcd', )))
    for name, some in lines.items():
        (tmp_path / 'work_dirs' / name).mkdir(parents=True)
        write(tmp_path / 'work_dirs' / name / 'results.jsonl', some)
    (tmp_path / 'work_dirs/figures').mkdir()
    shutil.copy(ROOT / 'docs/images/demo_balance.png',
                tmp_path / 'work_dirs/figures/balance.png')
    assert run_tool(command) == 0
    assert 'the page to open is work_dirs/report/report.html' in (
        capsys.readouterr().out)
    out = tmp_path / 'work_dirs/report'
    text = (out / 'report.md').read_text()
    assert f'Made by `{command}`.' in text
    assert (out / 'figures/balance.png').exists() == ('--figures' in command)
    copy = tmp_path / 'work_dirs/results_mini.md'
    assert copy.exists() == ('--page' in command)
    if copy.exists():
        assert copy.read_text().startswith('# Results on the mini set')
    else:
        assert '## EPIC-Kitchens' in text
    # what the table of files names is there, and nothing else
    named = re.findall(r'`([\w*/]+\.(?:md|html|csv|svg|json))`',
                       TEXT[TEXT.index('## What'):TEXT.index('Figures need')])
    assert len(named) == 8
    found = {path for name in named for path in out.glob(name)}
    assert {path for path in out.rglob('*') if path.is_file()
            and path.suffix != '.png'} == found


def test_the_docs_numbers():
    words = ' '.join(TEXT.split())
    six_methods = p_text(6 * smallest_p(9))
    assert (f'that is {p_text(smallest_p(9))}, and {six_methods} after '
            "Holm's correction for six methods" in words)
    assert f'with five it is {p_text(smallest_p(5))}' in words
    assert (LEAST_PAIRS, LEAST_SEEDS, MOST_ENUMERATED) == (6, 3, 13)
    assert 'up to 13 pairs' in words and 'fewer than six pairs' in words


@pytest.mark.parametrize('name, message', [
    ('none.jsonl', 'No such file'), ('bad.jsonl', 'bad.jsonl, line 2')])
def test_errors(name, message, run_tool, tmp_path, capsys):
    write(tmp_path / 'bad.jsonl', [record(), {'seed': 1}])
    assert run_tool(f'python tools/report.py {name} --out out') == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@needs_browser
def test_a_browser_has_nothing_to_say(page, tmp_path):
    """It loads all figures, asks for nothing else, and no word of error."""
    dom, console = browse(page, tmp_path)
    assert console == []
    tables = Page(page.read_text()).tables
    assert dom.count('<table>') == len(tables) > 10
    assert dom.count('src="data:image/svg+xml') == 4


@needs_browser
def test_the_browser_would_say_if_the_page_asked_for_more(page, tmp_path):
    other = tmp_path / 'other.html'
    other.write_text(page.read_text().replace(
        '<main>', '<main><img alt="" src="elsewhere.png">'
        '<script>1</script>'))
    _, console = browse(other, tmp_path)
    assert len(console) == 2
    assert all('Content Security Policy' in line for line in console)


@needs_browser
@pytest.mark.parametrize('width', [500, 1400])
def test_the_page_is_not_wider_than_the_window(page, tmp_path, width):
    """Wide tables scroll by themselves."""
    measured = tmp_path / 'measured.html'
    text = re.sub(r'<meta http-equiv.*?>', '', page.read_text())
    measured.write_text(text.replace('</body>', (
        '<script>const e = document.documentElement; let wide = 0;'
        'for (const s of document.querySelectorAll(".scroll"))'
        ' wide += s.scrollWidth > s.clientWidth;'
        'document.title = [e.scrollWidth, innerWidth, wide].join();'
        '</script></body>')))
    dom, _ = browse(measured, tmp_path, f'--window-size={width},900')
    page_width, window, scrolling = map(int, re.search(
        r'<title>(\d+),(\d+),(\d+)</title>', dom).groups())
    assert page_width <= window == width
    assert scrolling > 10 if width == 500 else scrolling < 3
