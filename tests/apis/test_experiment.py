"""Experiments: finished ones are read, cut-off ones start anew."""
import json

import pytest

from mbcd_mmaction.apis import experiment as module
from mbcd_mmaction.apis.experiment import Experiment, run_experiment

ERM = Experiment('erm', 'mini', 'D1', 3, ('a.b=1', ), 'wide')


def test_commands(tmp_path):
    assert ERM.name == 'erm_wide_mini_d1_seed3'
    assert ERM.config == 'configs/erm/mini_d1.py'
    assert ERM.train_command(tmp_path) == [
        'tools/train.py', 'configs/erm/mini_d1.py', '--work-dir',
        str(tmp_path), '--seed', '3', '--cfg-options', 'a.b=1']
    assert (module.REPOSITORY / ERM.config).is_file()


@pytest.fixture
def fake_tools(tmp_path, monkeypatch):
    """tools/train.py and tools/test.py that only write what is read."""
    repository = tmp_path / 'repository'
    (repository / 'tools').mkdir(parents=True)
    (repository / 'tools/train.py').write_text("""
import json, os, sys
out = sys.argv[sys.argv.index('--work-dir') + 1]
with open(os.path.join(os.path.dirname(out), 'calls'), 'a') as f:
    f.write('train ')
print('noise'); print('x - INFO - Epoch(train) [1][1/1] loss: 1')
os.makedirs(out + '/t0/vis_data')
rows = [dict(loss=1, step=1)] + [
    {'acc/top1': a, 'step': e} for e, a in ((1, .5), (2, .25))]
open(out + '/t0/vis_data/scalars.json', 'w').write(
    chr(10).join(map(json.dumps, rows)))
open(out + '/best_acc_top1_epoch_1.pth', 'w').close()
""")
    (repository / 'tools/test.py').write_text("""
import json, os, sys
out = sys.argv[sys.argv.index('--work-dir') + 1]
assert sys.argv[2].endswith('best_acc_top1_epoch_1.pth')
os.makedirs(out + '/t1')
json.dump({'acc/top1': .125}, open(out + '/t1/t1.json', 'w'))
""")
    monkeypatch.setattr(module, 'REPOSITORY', repository)
    return repository


def test_runs_once(tmp_path, fake_tools):
    lines = []
    result = run_experiment(ERM, tmp_path / 'out', lines.append)
    assert result['epoch'] == 1
    assert result['source_metrics']['acc/top1'] == .5
    assert result['target_metrics'] == {'acc/top1': .125}
    assert lines[0].startswith('$ python tools/train.py')
    assert lines[1] == '  Epoch(train) [1][1/1] loss: 1'
    again = run_experiment(ERM, tmp_path / 'out')
    assert again == json.loads(json.dumps(result))
    assert (tmp_path / 'out/calls').read_text() == 'train '


def test_cut_off_run_starts_anew(tmp_path, fake_tools):
    left = tmp_path / 'out' / ERM.name / 'old/vis_data'
    left.mkdir(parents=True)
    (left / 'scalars.json').write_text('{"acc/top1": 0.9, "step": 7}')
    assert run_experiment(ERM, tmp_path / 'out')['epoch'] == 1


def test_failure_quotes_the_log(tmp_path, fake_tools):
    (fake_tools / 'tools/train.py').write_text(
        'print("the reason"); raise SystemExit(3)')
    with pytest.raises(RuntimeError, match='status 3(.|\n)*the reason'):
        run_experiment(ERM, tmp_path / 'out')
