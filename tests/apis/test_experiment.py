"""Experiments: finished ones are read, cut-off ones start anew."""
import json
from pathlib import Path

import pytest

from mbcd_mmaction.apis.experiment import Experiment, run_experiment

ROOT = Path(__file__).resolve().parents[2]

ERM = Experiment('erm', 'mini', 'D1', 3, ('a.b=1', ), 'wide')


def test_commands(tmp_path):
    assert ERM.name == 'erm_wide_mini_d1_seed3'
    assert ERM.config == 'configs/erm/mini_d1.py'
    assert ERM.train_command(tmp_path) == [
        'tools/train.py', 'configs/erm/mini_d1.py', '--work-dir',
        str(tmp_path), '--seed', '3', '--cfg-options', 'a.b=1']
    assert (ROOT / ERM.config).is_file()


@pytest.fixture
def root(tmp_path):
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
    (repository / 'configs/erm').mkdir(parents=True)
    (repository / 'configs/erm/mini_d1.py').write_text('a = dict(b=0)')
    return repository


def test_runs_once(tmp_path, root):
    lines = []
    result = run_experiment(ERM, root, tmp_path / 'out', lines.append)
    assert result['epoch'] == 1
    assert result['source_metrics']['acc/top1'] == .5
    assert result['target_metrics'] == {'acc/top1': .125}
    assert lines[0].startswith('$ python tools/train.py')
    assert lines[1] == '  Epoch(train) [1][1/1] loss: 1'
    again = run_experiment(ERM, root, tmp_path / 'out')
    assert again == json.loads(json.dumps(result))
    assert (tmp_path / 'out/calls').read_text() == 'train '
    assert run_experiment(ERM, root, tmp_path / 'out', lines.append) == again
    assert lines[-1].startswith('read back from')


def test_another_config_is_run_again(tmp_path, root):
    run_experiment(ERM, root, tmp_path / 'out')
    (root / 'configs/erm/mini_d1.py').write_text('a = dict(b=0, c=1)')
    run_experiment(ERM, root, tmp_path / 'out')
    assert (tmp_path / 'out/calls').read_text() == 'train train '


def test_cut_off_run_starts_anew(tmp_path, root):
    left = tmp_path / 'out' / ERM.name / 'old/vis_data'
    left.mkdir(parents=True)
    (left / 'scalars.json').write_text('{"acc/top1": 0.9, "step": 7}')
    assert run_experiment(ERM, root, tmp_path / 'out')['epoch'] == 1


def test_failure_quotes_the_log(tmp_path, root):
    (root / 'tools/train.py').write_text(
        'print("the reason"); raise SystemExit(3)')
    with pytest.raises(RuntimeError, match='status 3(.|\n)*the reason'):
        run_experiment(ERM, root, tmp_path / 'out')
