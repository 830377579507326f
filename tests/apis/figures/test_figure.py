"""The runs of a figure, and what it leaves on disk."""
import argparse
import csv
import hashlib
import json
import sys

import pytest

from mbcd_mmaction.apis.figures.figure import (
    Figure,
    Run,
    add_figure_arguments,
    open_run,
    parse_run,
    settings_of,
    write_figure,
)
from mbcd_mmaction.version import __version__


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'runs' / 'best_acc_top1_epoch_7.pth'
    path.parent.mkdir()
    path.write_bytes(b'weights')
    return path


def test_a_run(checkpoint):
    text = f'Two words=configs/erm/mini_d1.py:{checkpoint}'
    run = parse_run(text)
    assert run == Run('Two words', 'configs/erm/mini_d1.py', str(checkpoint))
    assert parse_run(text + ':student').student
    assert parse_run(
        f'a=c.py:{checkpoint.parent}/best_*.pth').checkpoint == str(checkpoint)


@pytest.mark.parametrize('text', [
    'c.py:{0}', '=c.py:{0}', 'a=c.py', 'a=:{0}', 'a=c.py:', 'a=c.py:{0}:x',
    'a=c.py:{0}:student:student'])
def test_what_reads_otherwise(text, checkpoint):
    with pytest.raises(argparse.ArgumentTypeError,
                       match='expected NAME=CONFIG:CHECKPOINT'):
        parse_run(text.format(checkpoint))


def test_a_pattern_of_one_file(checkpoint):
    pattern = f'{checkpoint.parent}/*.pth'
    (checkpoint.parent / 'epoch_9.pth').touch()
    with pytest.raises(argparse.ArgumentTypeError,
                       match='expected one checkpoint .*best.*epoch_9'):
        parse_run(f'a=c.py:{pattern}')
    with pytest.raises(argparse.ArgumentTypeError, match='found none'):
        parse_run('a=c.py:no.pth')


def parser(**given):
    made = argparse.ArgumentParser()
    add_figure_arguments(made, **given)
    return made


def test_arguments(checkpoint, capsys):
    words = [f'{name}=c.py:{checkpoint}' for name in 'ab']
    args = parser().parse_args([*words, '--cfg-options', 'x.y=1'])
    assert [run.name for run in args.runs] == ['a', 'b']
    assert settings_of(args, more=3) == dict(
        split='test', max_clips=None, seed=0, cfg_options={'x.y': 1}, more=3)
    args = parser(split=None, max_clips=8).parse_args(words)
    assert settings_of(args) == dict(max_clips=8, seed=0, cfg_options={})
    with pytest.raises(SystemExit):
        parser().parse_args([words[0], words[0]])
    assert 'expected runs of different names, got a, a' in (
        capsys.readouterr().err)


def test_the_student_is_opened_where_it_is_asked_for(monkeypatch, checkpoint):
    asked = []
    monkeypatch.setattr('mbcd_mmaction.apis.figures.figure.read_config',
                        lambda *given: given)
    monkeypatch.setattr('mbcd_mmaction.apis.figures.figure.load_trained',
                        lambda *given: asked.append(given) or 'model')
    args = argparse.Namespace(cfg_options={'x': 1})
    run = Run('a', 'c.py', str(checkpoint), student=True)
    assert open_run(run, args) == (('c.py', {'x': 1}), 'model')
    assert asked == [(('c.py', {'x': 1}), str(checkpoint), True)]


def figure(checkpoint, name='missing_modalities', config='configs/c.py'):
    return Figure(
        name, 'What is seen.', [Run('a', config, str(checkpoint))],
        dict(seed=0), dict(subsets=['x', 'y'], runs=dict(a=dict(x=.5, y=1))),
        [dict(run='a', x=.5, y=None), dict(run='b', x=.25, y=1.0)])


def test_what_is_written(checkpoint, tmp_path, capsys):
    out = tmp_path / 'new' / 'folder'
    record = write_figure(figure(checkpoint), out)
    assert record == json.loads(
        (out / 'missing_modalities.json').read_text()) == dict(
            figure='missing_modalities', caption='What is seen.',
            runs=dict(a=dict(
                config='configs/c.py', checkpoint=checkpoint.name,
                sha256=hashlib.sha256(b'weights').hexdigest()[:16],
                student=False)),
            settings=dict(seed=0),
            versions=dict(mbcd_mmaction=__version__),
            numbers=dict(subsets=['x', 'y'], runs=dict(a=dict(x=.5, y=1))))
    with open(out / 'missing_modalities.csv', newline='') as file:
        assert list(csv.reader(file)) == [
            ['run', 'x', 'y'], ['a', '0.5', ''], ['b', '0.25', '1.0']]
    assert (out / 'missing_modalities.png').stat().st_size > 1000
    assert [line.split(': ')[0]
            for line in capsys.readouterr().out.splitlines()] == [
                'numbers', 'table', 'picture']


def test_rows_of_different_cells(checkpoint, tmp_path):
    """Models of other modalities in one table: empty where one is without."""
    mixed = figure(checkpoint)
    mixed.rows = [dict(run='a', x=.5), dict(run='b', y=1.0, x=.25)]
    write_figure(mixed, tmp_path)
    with open(tmp_path / 'missing_modalities.csv', newline='') as file:
        assert list(csv.reader(file)) == [
            ['run', 'x', 'y'], ['a', '0.5', ''], ['b', '0.25', '1.0']]


def test_no_folder_of_the_machine(checkpoint, tmp_path):
    config = tmp_path / 'configs' / 'mbcd' / 'mini_d1.py'
    record = write_figure(figure(checkpoint, config=str(config)), tmp_path)
    assert record['runs']['a']['config'] == 'mbcd/mini_d1.py'
    assert str(tmp_path) not in json.dumps(record)
    args = parser().parse_args([
        f'a=c.py:{checkpoint}', '--cfg-options',
        f'data_root={tmp_path}/sets/mini', 'type=D', 'x=[1,2]',
        f'files=[{tmp_path}/sets/a.csv,b.csv]'])
    assert settings_of(args)['cfg_options'] == dict(
        data_root='sets/mini', type='D', x=[1, 2],
        files=['sets/a.csv', 'b.csv'])


def test_numbers_without_matplotlib(checkpoint, tmp_path, monkeypatch,
                                    capsys):
    for name in list(sys.modules):
        if name.startswith('mbcd_mmaction.analysis.pictures.'):
            monkeypatch.delitem(sys.modules, name)
    for name in ('matplotlib', 'matplotlib.figure'):
        monkeypatch.setitem(sys.modules, name, None)
    write_figure(figure(checkpoint), tmp_path)
    assert "pip install 'mbcd_mmaction[plot]'" in capsys.readouterr().err
    assert (tmp_path / 'missing_modalities.json').is_file()
    assert (tmp_path / 'missing_modalities.csv').is_file()
    assert not (tmp_path / 'missing_modalities.png').exists()


def test_numbers_come_before_the_picture(checkpoint, tmp_path, monkeypatch):
    from mbcd_mmaction.analysis.pictures import missing_modalities

    def fail(numbers, path):
        raise RuntimeError('cannot draw')

    monkeypatch.setattr(missing_modalities, 'plot', fail)
    with pytest.raises(RuntimeError, match='cannot draw'):
        write_figure(figure(checkpoint), tmp_path)
    assert (tmp_path / 'missing_modalities.json').is_file()
    assert (tmp_path / 'missing_modalities.csv').is_file()
