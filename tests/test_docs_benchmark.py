"""What docs/benchmark.md shows works as it stands."""
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from fake_root import make_root

from mbcd_mmaction.apis.benchmark.campaign import Job
from mbcd_mmaction.apis.benchmark.experiment import Experiment
from mbcd_mmaction.apis.benchmark.protocol import (
    KEYS,
    METHOD_KEYS,
    read_protocol,
)

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'docs/benchmark.md').read_text()
COMMANDS = [line for block in re.findall(r'```bash\n(.*?)```', TEXT, re.S)
            for line in block.splitlines()]
EXAMPLE, = re.findall(r'```yaml\n(.*?)```', TEXT, re.S)


def table(first):
    """Rows of the table whose header begins so, as lists of cells."""
    lines = TEXT[TEXT.index(f'| {first}'):].split('\n\n')[0].splitlines()
    return [[cell.strip() for cell in line.strip('|').split(' | ')]
            for line in lines[2:]]


@pytest.mark.parametrize('command', COMMANDS)
def test_commands(command, monkeypatch):
    python, tool, *words = shlex.split(command)
    assert (python, tool) == ('python', 'tools/benchmark.py')
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, 'argv', [tool, *words])
    args = runpy.run_path(tool)['parse_args']()
    assert all(path.is_file() for path in args.protocols)


def test_there_are_commands():
    assert len(COMMANDS) == 5


def test_the_example_is_a_protocol(tmp_path):
    path = tmp_path / 'example.yaml'
    path.write_text(EXAMPLE)
    found = read_protocol(path, ROOT)
    assert len(found) == 3 * 2 * 4 * 3
    assert {e.options for e in found if e.method == 'moosa'} == {
        (), ('model.objective.num_chunks=4', )}


def test_every_key_is_told():
    assert tuple(row[0].strip('`') for row in table('key |')) == KEYS
    assert all(f'`{key}`' in TEXT for key in METHOD_KEYS)


def test_the_table_counts_the_experiments():
    rows = table('file in')
    folder = ROOT / 'benchmarks/protocols'
    assert {row[0].strip('`') for row in rows} == {
        path.name for path in folder.iterdir()}
    for name, count, _ in rows:
        assert len(read_protocol(folder / name.strip('`'), ROOT)) == int(count)


def test_every_field_is_told(tmp_path):
    told = [name for row in table('field |')
            for name in re.findall(r'`(\w+)`', row[0])]
    job = Job(make_root(tmp_path / 'root'), tmp_path / 'w', tmp_path / 'r')
    record = job(Experiment('erm', 'toy', 'D1', 0))
    assert told == [*record, 'error']
    failure = job.failure(Experiment('erm', 'toy', 'D1', 0), ValueError())
    assert list(failure) == [
        name for name in told if name not in told[-5:-1]]


def test_links():
    for link in re.findall(r'\]\((\w+\.md)\)', TEXT):
        assert (ROOT / 'docs' / link).is_file()
