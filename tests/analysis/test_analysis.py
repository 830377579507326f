"""Scalars, tables and pictures of a training, on a log the test writes."""
import json

import pytest

from mbcd_mmaction.analysis.scalars import best_epoch, read_scalars
from mbcd_mmaction.analysis.tables import (
    demo_table,
    markdown,
    mean_std,
    outputs_of,
)

METRICS = {
    'acc/top1': 0.5, 'acc/mean1': 0.4, 'acc/video/top1': 0.25,
    'acc/D2/top1': 0.5, 'acc/D2/video/top1': 0.25, 'acc/num_clips': 8,
}


def write_log(work_dir, time, steps, epochs):
    folder = work_dir / time / 'vis_data'
    folder.mkdir(parents=True)
    rows = [
        dict(loss=1.0 / s, step=s, dominance_ratio_video=1.2,
             drop_prob_video=0.2) for s in steps
    ] + [dict(METRICS, **{'acc/top1': acc}, step=e) for e, acc in epochs]
    (folder / 'scalars.json').write_text(
        '\n'.join(json.dumps(r) for r in rows))


def test_scalars_of_a_resumed_run(tmp_path):
    write_log(tmp_path, '20260101_000000', [1, 2, 3, 4],
              [(1, .25), (2, .5)])
    write_log(tmp_path, '20260101_000100', [3, 4, 5, 6],
              [(2, .25), (3, .25)])
    scalars = read_scalars(tmp_path)
    assert [r['step'] for r in scalars.train] == [1, 2, 3, 4, 5, 6]
    # what the resumed run repeated replaces the first run's
    assert [r['acc/top1'] for r in scalars.val] == [.25, .25, .25]
    assert best_epoch(scalars)[0] == 1  # the first of equals, as the host


def test_no_log(tmp_path):
    with pytest.raises(FileNotFoundError, match='vis_data'):
        read_scalars(tmp_path)


def test_outputs_leave_domains_out():
    assert outputs_of(METRICS) == {
        'fused': 'acc/top1', 'video': 'acc/video/top1'}


def test_mean_std():
    assert mean_std([0.5]) == '50.0'
    assert mean_std([0.4, 0.6]) == '50.0 ± 14.1'  # n - 1


def test_markdown():
    assert markdown(['a', 'bb'], [['long', '1']]).splitlines() == [
        '| a    | bb |', '| ---- | -: |', '| long |  1 |']


def test_demo_table():
    erm, mbcd = (dict(epoch=3, source_metrics=METRICS,
                      target_metrics=dict(METRICS, **{'acc/top1': top1}))
                 for top1 in (.2, .4))
    lines = demo_table(dict(ERM=erm, MBCD=mbcd)).splitlines()
    cells = [[c.strip() for c in line.split('|')[1:-1]] for line in lines]
    assert cells[0] == ['method', 'epoch', 'source fused', 'source video',
                        'target fused', 'target video']
    assert cells[2] == ['ERM', '3', '50.0', '25.0', '20.0', '25.0']
