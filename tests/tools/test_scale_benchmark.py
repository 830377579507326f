"""Each part of the benchmark of scale runs, and says what is so."""
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from toy import make_batch, make_recognizer
from toy_runner import DIMS, MBCD, MBCD_MODEL, make_runner

from mbcd_mmaction.models import LookAhead

ROOT = Path(__file__).resolve().parents[2]
WORLD = 2


def run(place, *arguments):
    """The printed lines and the figures of one part."""
    out = place / 'out.json'
    done = subprocess.run(
        [sys.executable, str(ROOT / 'benchmarks/scale.py'), *arguments,
         '--out', str(out)], capture_output=True, text=True, cwd=place,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines(), json.loads(out.read_text())


def part(name):
    """The module of a part, imported as the benchmark does."""
    folder = str(ROOT / 'benchmarks')
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(f'scale_{name}')


def test_records(tmp_path):
    if not os.path.exists('/proc/self/smaps_rollup'):
        pytest.skip('the memory of a process is read from Linux /proc')
    lines, figures = run(tmp_path, 'records', '--root', str(tmp_path),
                         '--records', '2000', '--workers', '2', '--whole',
                         '--lists', 'epic')
    assert [f['case'] for f in figures] == ['epic', 'epic, whole records']
    assert len(lines) == 2 + len(figures)
    ours, whole = figures
    assert 2 * ours['bytes_a_clip'] < whole['bytes_a_clip']


def test_throughput(tmp_path):
    lines, figures = run(
        tmp_path, 'throughput', '--root', str(tmp_path), '--clips', '1',
        '--samples', '2', '--batch', '1', '--workers', '0', '1',
        '--rounds', '1')
    assert [(f['processes'], f['workers']) for f in figures] == [
        (1, 0), (1, 1), (2, 0), (2, 1)]
    assert len(lines) == 1 + len(figures)
    assert figures[0]['ratio'] == [1, 1, 1]


def test_checkpoint(tmp_path):
    lines, figures = run(tmp_path, 'checkpoint', '--config',
                         str(ROOT / 'configs/mbcd/mini_d1.py'),
                         '--rounds', '1')
    assert [line.split()[0] for line in lines[1:]] == [
        'state_dict', 'ema_state_dict', 'optimizer', 'stored', 'file',
        'save:', 'load:']
    stored = sum(figures[name]['bytes'] for name in part('checkpoint').PARTS)
    assert 0 <= figures['file_bytes'] - stored < 0.1 * stored


def test_a_checkpoint_holds_the_frozen_trunk_once(tmp_path):
    """By its count: state_dict all of the model, ema_state_dict what
    trains (here no buffers do) and the number of steps."""
    checkpoint = part('checkpoint')
    runner = make_runner(tmp_path, MBCD, epochs=1, **MBCD_MODEL)
    runner.train()
    figures = checkpoint.contents(
        torch.load(tmp_path / 'epoch_1.pth', weights_only=False))
    model = dict(runner.model.named_parameters())
    trained = [p for p in model.values() if p.requires_grad]
    assert 0 < len(trained) < len(model)
    whole = checkpoint.count(list(runner.model.state_dict().values()))
    assert figures['state_dict'] == whole
    ema = checkpoint.count(trained)
    rest = list(runner.model.buffers())
    assert figures['ema_state_dict']['tensors'] <= (
        ema['tensors'] + len(rest) + 1)
    frozen = checkpoint.count(
        [p for p in model.values() if not p.requires_grad])
    assert frozen['tensors'] > figures['stored_twice']['tensors'] == 0
    # Adam: two moments and a step (float32) of each that trains.
    assert figures['optimizer'] == dict(
        tensors=3 * ema['tensors'],
        bytes=2 * ema['bytes'] + 4 * ema['tensors'])


def test_what_is_stored_twice_is_seen():
    same, other = torch.ones(3), torch.zeros(3)
    figures = part('checkpoint').contents(dict(
        state_dict=dict(a=same, b=same),
        ema_state_dict={'steps': torch.tensor(1), 'module.a': same,
                        'module.b': other}))
    assert figures['stored_twice'] == dict(tensors=1, bytes=12)


def test_ddp_on_paper(tmp_path):
    lines, figures = run(tmp_path, 'ddp', '--gpus', '8', '64')
    sizes = figures['bytes']
    # Millions of float32: two of SlowFast, SlowOnly, ResNet-18; norms too.
    assert sizes['inner'] / 4e6 == pytest.approx(21.1 + .3 + 20.2 + 8.4,
                                                 abs=.2)
    assert sum(sizes['buckets']) > sizes['inner']
    assert [(t['gpus'], t['bandwidth_gb_s']) for t in figures['on_paper']] \
        == [(8, 450), (64, 25)]
    assert len(lines) == 7


def test_ring_by_hand():
    """4 ranks, 1 GB at 3 GB/s: 1.5 GB sent in .5 s, and 6 messages."""
    seconds = part('ddp').ring_seconds(10**9, 4, 3, 1000)
    assert seconds == pytest.approx(0.5 + 0.006)


def send(rank, folder):
    """A rank: the all-reduces of Python in one step, and DDP's buckets."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/meet', rank=rank,
                            world_size=WORLD)
    model = make_recognizer(DIMS).train()
    model.lookahead = LookAhead(0.1, 'first')
    expected = part('ddp').bytes_of_step(model)
    wrapped = MMDistributedDataParallel(model)
    sent, all_reduce = [], dist.all_reduce

    def counted(tensor, *args, **kwargs):
        sent.append(tensor.nbytes)
        return all_reduce(tensor, *args, **kwargs)

    dist.all_reduce = counted
    (inputs, samples), _ = make_batch(DIMS)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    wrapped.train_step(dict(inputs=inputs, data_samples=samples), optimizer)
    dist.all_reduce = all_reduce
    sizes = wrapped._get_ddp_logging_data()['bucket_sizes']
    buckets = [int(size) for size in sizes.split(',')]
    torch.save(dict(sent=sent, buckets=buckets, expected=expected),
               f'{folder}/rank{rank}.pth')
    dist.destroy_process_group()


def test_a_step_sends_what_is_worked_out(tmp_path):
    mp.spawn(send, (str(tmp_path), ), nprocs=WORLD)
    for rank in range(WORLD):
        found = torch.load(tmp_path / f'rank{rank}.pth')
        assert found['sent'] == [found['expected']['inner']]
        assert found['sent'][0] > 0
        assert found['buckets'] == found['expected']['buckets']
