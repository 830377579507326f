"""Experiments: commands, fingerprints; run once, or from where they were."""
import json
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from fake_root import calls, make_root
from mmengine.config import Config

from mbcd_mmaction.apis.benchmark.experiment import (
    Experiment,
    fingerprint,
    identify,
    resolved_config,
)
from mbcd_mmaction.apis.benchmark.processes import Stopped, Tools
from mbcd_mmaction.apis.benchmark.running import run_experiment, run_options
from mbcd_mmaction.datasets.extraction.outputs import FolderInUse

ROOT = Path(__file__).resolve().parents[3]
ERM = Experiment('erm', 'toy', 'D1', 3, ('a.b=1', ), 'wide')
NAME = 'erm_wide_toy_d1_seed3'
KEEP = 'default_hooks.checkpoint.max_keep_ckpts=2'


@pytest.fixture
def root(tmp_path):
    return make_root(tmp_path / 'repository')


def test_commands(tmp_path):
    assert ERM.name == NAME
    assert ERM.config == 'configs/erm/toy_d1.py'
    assert ERM.train_command(tmp_path) == [
        'tools/train.py', 'configs/erm/toy_d1.py', '--work-dir',
        str(tmp_path), '--seed', '3', '--cfg-options', 'a.b=1']
    assert ERM.test_command('w', 'w/best.pth') == [
        'tools/test.py', 'configs/erm/toy_d1.py', 'w/best.pth', '--work-dir',
        'w/test', '--cfg-options', 'a.b=1']


def test_commands_of_several_processes():
    train = ERM.train_command('w', 4, ('c=2', ), 'w/epoch_1.pth')
    assert train == [
        'tools/dist_train.sh', 'configs/erm/toy_d1.py', '4', '--work-dir',
        'w', '--seed', '3', '--resume', 'w/epoch_1.pth', '--cfg-options',
        'a.b=1', 'c=2']
    assert ERM.test_command('w', 'w/best.pth', 4)[:4] == [
        'tools/dist_test.sh', 'configs/erm/toy_d1.py', 'w/best.pth', '4']


@pytest.mark.parametrize('sources,name,config,options', [
    ((), 'd1', 'mini_d1', []),
    (('D2', ), 'd2_to_d1', 'mini_d2_to_d1', []),
    (('D1', ), 'd1_to_d1', 'mini_d1', [
        'source_domains=[D1]', 'train_dataloader.dataset.domains=[D1]',
        'val_dataloader.dataset.domains=[D1]']),
])
def test_sources(sources, name, config, options):
    found = Experiment('erm', 'mini', 'D1', 0, sources=sources)
    assert found.name == f'erm_mini_{name}_seed0'
    assert found.config == f'configs/erm/{config}.py'
    assert found.cfg_options == options


def test_what_a_shipped_experiment_is():
    found = identify(Experiment(
        'mbcd', 'mini', 'D1', 1, ('model.modality_dropout=None', ), 'none',
        ('flow', 'audio')), ROOT)
    mark = found.pop('fingerprint')
    assert len(mark) == 16 and int(mark, 16) >= 0
    assert found == dict(
        dataset='mini', method='mbcd', variant='none',
        modalities=['flow', 'audio'], sources=['D2', 'D3'], target='D1',
        seed=1, config='configs/mbcd/mini_d1.py',
        options=['model.modality_dropout=None',
                 'model.modalities=[flow,audio]'])


def test_in_domain_reaches_every_loader():
    config = resolved_config(
        Experiment('erm', 'epic', 'D2', 0, sources=('D2', )), ROOT)
    assert config.source_domains == config.target_domains == ['D2']
    assert [config[f'{split}_dataloader'].dataset.domains
            for split in ('train', 'val', 'test')] == [['D2']] * 3


def test_fingerprint_is_of_values_and_seed(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('a = dict(b=1, c=None)\nd = [1.5]')
    mark = fingerprint(Config.fromfile(path), 0)
    path.write_text('# said\nd = [1.5]\na = dict(c=None, b=1)  # otherwise')
    assert fingerprint(Config.fromfile(path), 0) == mark
    assert fingerprint(Config.fromfile(path), 1) != mark
    path.write_text("a = dict(b=1, c=None)\nd = ['1.5']")
    assert fingerprint(Config.fromfile(path), 0) != mark


def test_fingerprint_of_a_shipped_config_is_of_plain_values():
    """Else it would hang on how something prints."""
    config = resolved_config(Experiment('mbcd', 'epic', 'D1', 0), ROOT)
    assert json.dumps(config.to_dict())


def test_runs_once(tmp_path, root, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    lines, out = [], tmp_path / 'out'
    result = run_experiment(ERM, root, out, lines.append)
    assert result['epoch'] == 1
    assert result['source_metrics'] == {'acc/top1': .5, 'acc/D2/top1': .5}
    assert result['target_metrics'] == {'acc/top1': .125}
    assert result['sources'] == ['D2', 'D3']
    assert (result['threads'], result['gpus']) == (5, 1)
    assert result['commit'] is None
    assert set(result['versions']) == {
        'mbcd_mmaction', 'python', 'torch', 'mmengine', 'mmaction2', 'mmcv',
        'numpy'}
    assert set(result['hours']) == {'train', 'test'}
    assert lines[0].startswith('$ python tools/train.py')
    assert lines[1] == '  Epoch(train) [1][1/1] loss: 1'
    assert str(tmp_path) not in json.dumps(result)
    again = run_experiment(ERM, root, out)
    assert again == json.loads(json.dumps(result))
    assert calls(out) == [f'train {NAME}', f'test {NAME}']
    assert run_experiment(ERM, root, out, lines.append) == again
    assert lines[-1].startswith('read back from')


def test_another_config_is_run_again(tmp_path, root, capsys):
    """What there was is kept, beside it."""
    out = tmp_path / 'out'
    first = run_experiment(ERM, root, out)
    config = root / 'configs/erm/toy_d1.py'
    config.write_text(config.read_text() + '# a comment')
    run_experiment(ERM, root, out)
    assert len(calls(out)) == 2
    config.write_text(config.read_text() + '\nc = 1')
    assert not list(out.glob('*.old*'))
    second = run_experiment(ERM, root, out)
    assert calls(out)[2:] == [f'train {NAME}', f'test {NAME}']
    assert f'what it held is in {NAME}.old1 beside' in capsys.readouterr().out
    config.write_text(config.read_text() + '\nd = 1')
    run_experiment(ERM, root, out)
    for number, result in ((1, first), (2, second)):
        old = out / f'{NAME}.old{number}'
        assert json.loads((old / 'result.json').read_text()) == result
        assert (old / 'best_acc_top1_epoch_1.pth').is_file()


def cut_off(out, mark, **progress):
    """What a training leaves that was killed in its second epoch."""
    folder = out / NAME
    (folder / 't0/vis_data').mkdir(parents=True)
    (folder / 't0/vis_data/scalars.json').write_text(
        '{"acc/top1": 0.5, "step": 1}\n{"acc/to')
    info = dict(best_score=.5, best_ckpt='/gone/best_acc_top1_epoch_1.pth')
    torch.save(dict(message_hub=dict(runtime_info=info)),
               folder / 'epoch_1.pth')
    (folder / 'best_acc_top1_epoch_1.pth').touch()
    (folder / 'train.log').write_text('before\n')
    (folder / 'progress.json').write_text(json.dumps(
        dict(fingerprint=mark, **progress)))
    return folder


def test_cut_off_run_goes_on(tmp_path, root):
    out = tmp_path / 'out'
    began = time.time() - 7200
    folder = cut_off(out, identify(ERM, root)['fingerprint'], seconds=3600.0,
                     started=began)
    os.utime(folder / 'train.log', (began + 1800, began + 1800))
    result = run_experiment(ERM, root, out)
    assert calls(out) == [f'train on {NAME}', f'test {NAME}']
    assert result['epoch'] == 1
    # both attempts that were cut off, and this one of seconds
    assert 1.5 <= result['hours']['train'] < 1.6
    assert (folder / 'train.log').read_text().startswith('before\nnoise')


def test_what_another_config_left_is_not_gone_on_with(tmp_path, root):
    out = tmp_path / 'out'
    folder = cut_off(out, 'of another one')
    (folder / 'old').mkdir()
    run_experiment(ERM, root, out)
    assert calls(out) == [f'train {NAME}', f'test {NAME}']
    assert not (folder / 'old').exists()
    assert (out / f'{NAME}.old1/old').is_dir()


def test_a_resumed_run_without_its_best_checkpoint_starts_anew(tmp_path,
                                                               root):
    out = tmp_path / 'out'
    folder = cut_off(out, identify(ERM, root)['fingerprint'])
    tool = root / 'tools/train.py'
    tool.write_text(tool.read_text() + """
if resume:
    os.remove(out + '/best_acc_top1_epoch_1.pth')
elif os.path.exists('deny'):
    os.remove('deny')
    sys.exit(4)
""")
    (root / 'deny').touch()
    with pytest.raises(RuntimeError, match='status 4'):
        run_experiment(ERM, root, out)
    assert run_experiment(ERM, root, out)['epoch'] == 1
    assert calls(out) == [f'train on {NAME}'] + [f'train {NAME}'] * 2 + [
        f'test {NAME}']
    assert (folder / 'best_acc_top1_epoch_1.pth').is_file()


def test_a_written_test_is_not_run_twice(tmp_path, root):
    out = tmp_path / 'out'
    result = run_experiment(ERM, root, out)
    (out / NAME / 'result.json').unlink()
    again = run_experiment(ERM, root, out)
    assert len(calls(out)) == 2
    assert again['target_metrics'] == result['target_metrics']
    # half of one is
    (out / NAME / 'result.json').unlink()
    (out / NAME / 'test/t1/t1.json').write_text('{"acc/to')
    assert run_experiment(ERM, root, out)['target_metrics'] == {
        'acc/top1': .125}
    assert calls(out)[2:] == [f'test {NAME}']


def test_failure_quotes_the_log(tmp_path, root, monkeypatch):
    monkeypatch.setenv('FAKE_TRAIN', 'fail')
    with pytest.raises(RuntimeError, match='status 3(.|\n)*the reason'):
        run_experiment(ERM, root, tmp_path / 'out')


def test_two_at_the_same_experiment(tmp_path, root, monkeypatch):
    """The second is refused; when the first is stopped, it goes on."""
    monkeypatch.setenv('FAKE_TRAIN', 'hang')
    out, tools, ends = tmp_path / 'out', Tools(root), []

    def first():
        try:
            run_experiment(ERM, root, out, tools=tools)
        except Stopped as end:
            ends.append(end)

    thread = threading.Thread(target=first)
    thread.start()
    while not calls(out):
        assert thread.is_alive()
        time.sleep(.01)
    with pytest.raises(FolderInUse, match='or give another folder'):
        run_experiment(ERM, root, out)
    tools.stop()
    thread.join()
    assert len(ends) == 1
    with pytest.raises(Stopped):  # nor does it start any more
        run_experiment(ERM, root, out, tools=tools)
    monkeypatch.delenv('FAKE_TRAIN')
    assert run_experiment(ERM, root, out)['epoch'] == 1
    assert calls(out) == [f'train {NAME}'] * 2 + [f'test {NAME}']


def test_processes_share_the_batch(root):
    assert run_options(ERM, root, 1) == (KEEP, )
    assert run_options(ERM, root, 4) == (
        KEEP, 'train_dataloader.batch_size=4')
    with pytest.raises(ValueError, match='divides the batch of 16 .*got 3'):
        run_options(ERM, root, 3)
    assert resolved_config(Experiment('mbcd', 'mini', 'D1', 0), ROOT
                           ).default_hooks.checkpoint.max_keep_ckpts == 1


def test_several_processes_go_through_the_launcher(tmp_path, root):
    for kind in ('train', 'test'):
        script = root / f'tools/dist_{kind}.sh'
        script.write_text('#!/bin/sh\ncase $PORT in ????*) ;; *) exit 9; '
                          f'esac\nexec "$PYTHON" tools/{kind}.py "$@"\n')
        script.chmod(0o755)
    out = tmp_path / 'out'
    assert run_experiment(ERM, root, out, gpus=2)['gpus'] == 2
    assert calls(out) == [f'train {NAME}', f'test {NAME}']
