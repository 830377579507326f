"""What --cfg-options choose of a model: modalities and their weights."""
import argparse
from pathlib import Path

import pytest
import torch
from meta_model import build_on_meta
from mmaction.registry import MODELS
from mmaction.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader
from published_files import (
    AUDIO,
    SLOWFAST,
    SLOWONLY,
    new_openmmlab_file,
    vggsound_file,
)
from toy import make_recognizer, make_samples, total_of
from toy_runner import DIMS, make_runner

from mbcd_mmaction.apis import cli

ROOT = Path(__file__).parents[2]
EPIC = ROOT / 'configs/mbcd/epic_d1.py'

register_all_modules()


def with_options(*options):
    """The full-size config with options, as the tools merge them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    cli.add_common_arguments(parser)
    args = parser.parse_args([str(EPIC), '--cfg-options', *options])
    return cli.merge_common_args(Config.fromfile(EPIC), args)


@pytest.mark.parametrize('option,dims', [
    ("model.modalities=['video','audio']", dict(video=2304, audio=512)),
    ('model.modalities=[flow,video]', dict(flow=2048, video=2304)),
    ('model.modalities=flow,audio', dict(flow=2048, audio=512))])
def test_modalities_choose_the_branches(option, dims):
    model = build_on_meta(with_options(option))
    assert {m: b.embed_dims for m, b in model.branches.items()} == dims
    assert list(model.branches) == list(dims)
    assert model.unimodal_heads.keys() == dims.keys()
    assert model.fusion_head.layers[0].in_features == sum(dims.values())
    configs = Config.fromfile(EPIC).model.branches
    for m, branch in model.branches.items():
        assert branch.source.checkpoint == configs[m].checkpoint
        assert branch.modality == m


def test_random_weights_of_one_branch():
    model = build_on_meta(
        with_options('model.branches.video.checkpoint=None'))
    assert {m: b.source is None for m, b in model.branches.items()} == {
        'video': True, 'flow': False, 'audio': False}


def test_only_the_chosen_checkpoints_are_loaded(tmp_path, monkeypatch):
    """Narrow; the flow branch's file does not exist."""
    opened = []
    load = CheckpointLoader.load_checkpoint

    def remember(path, *args, **kwargs):
        opened.append(path)
        return load(path, *args, **kwargs)

    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', remember)
    config = with_options("model.modalities=['video','audio']")
    paths = {m: str(tmp_path / f'{m}.pth')
             for m in ('video', 'flow', 'audio')}
    expected = dict(video=new_openmmlab_file(paths['video'], SLOWFAST),
                    audio=vggsound_file(paths['audio']))
    for m, backbone in (('video', SLOWFAST), ('flow', SLOWONLY),
                        ('audio', AUDIO)):
        config.model.branches[m] = dict(
            backbone=backbone, checkpoint=paths[m])
    model = MODELS.build(config.model)
    model.init_weights()
    assert opened == [paths['video'], paths['audio']]
    for m, values in expected.items():
        got = model.branches[m].backbone.state_dict()
        for name, value in values.items():
            assert torch.equal(got[name], value), (m, name)
    # a step from a batch that has flow all the same
    batch = dict(
        inputs=dict(video=[torch.zeros(1, 3, 32, 32, 32)] * 2,
                    flow=[torch.zeros(1, 2, 8, 32, 32)] * 2,
                    audio=[torch.zeros(1, 1, 257, 100)] * 2),
        data_samples=make_samples(torch.tensor([0, 1])))
    losses = model(**model.data_preprocessor(batch), mode='loss')
    assert not any('flow' in name for name in losses)
    total_of(losses).backward()


def test_a_missing_file_stops_the_runner(tmp_path):
    """Before the first step, with the branch and the remedy."""
    branches = {
        m: dict(backbone=dict(type='ToyBackbone', in_dims=dim))
        for m, dim in DIMS.items()
    }
    branches['audio']['checkpoint'] = str(tmp_path / 'H.pth.tar')
    model = make_recognizer(DIMS, branches=branches)
    runner = make_runner(tmp_path, model=model)
    with pytest.raises(FileNotFoundError, match=r"\(branch 'audio'\); "
                       'docs/data_preparation.md') as caught:
        runner.train()
    assert str(tmp_path / 'H.pth.tar') in str(caught.value)
    assert 'checkpoint=None' in str(caught.value)
    assert runner.iter == 0
