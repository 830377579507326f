"""Every shipped experiment builds: model, transforms, metafile."""
import ast
import functools

import pytest
import torch
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.fileio import load as load_yaml
from mmengine.registry import init_default_scope
from shipped import EXPERIMENTS, METHODS, OWN_DATA, ROOT, SPLITS, load

from mbcd_mmaction.apis.preflight import leaf_datasets


@functools.cache
def build_on_meta(text):
    """A model without memory, from the text of its config."""
    init_default_scope('mmaction')
    with torch.device('meta'):
        return MODELS.build(ast.literal_eval(text))


def class_counts(leaf):
    """What a dataset's config and its class say of the number of classes."""
    classes = getattr(DATASETS.get(leaf['type']), 'METAINFO', {}).get(
        'classes')
    for found in (leaf.get('classes'), classes):
        if found is not None:
            yield len(found)
    if leaf.get('num_classes') is not None:
        yield leaf['num_classes']


@pytest.mark.parametrize('path', EXPERIMENTS + OWN_DATA)
def test_models_build_with_the_classes_of_their_data(path):
    config = load(path)
    model = build_on_meta(repr(config.model.to_dict()))
    assert list(model.branches) == config.model.modalities
    counts = [count for split in SPLITS
              for leaf in leaf_datasets(config[f'{split}_dataloader'].dataset)
              for count in class_counts(leaf)]
    assert set(counts) == {model.num_classes} and len(counts) >= 3
    head = model.fusion_head
    assert [p.shape[0] for p in head.parameters()][-1] == model.num_classes
    method = path.split('/')[0]
    assert (model.modality_dropout is not None) == method.startswith('mbcd')
    assert (model.unimodal_loss_weight == 0) == (method in ('erm', 'ema'))


@functools.cache
def build_pipeline(text):
    init_default_scope('mmaction')
    return [TRANSFORMS.build(step) for step in ast.literal_eval(text)]


@pytest.mark.parametrize('path', EXPERIMENTS + OWN_DATA)
def test_pipelines_build_for_the_modalities_that_are_read(path):
    config = load(path)
    for split in SPLITS:
        for leaf in leaf_datasets(config[f'{split}_dataloader'].dataset):
            assert leaf['modalities'] == config.model.modalities
            read, pack = build_pipeline(repr(leaf['pipeline']))
            assert list(read.pipelines) == leaf['modalities']
            assert list(pack.collect_keys) == leaf['modalities']
            # False: drawn independently, as released; see docs/configs.md.
            assert read.aligned is (path in OWN_DATA)


def test_metafiles_list_every_config_and_nothing_else():
    index = load_yaml(str(ROOT / 'model-index.yml'))['Import']
    assert len(index) == len(set(index))
    assert set(index) == {str(path.relative_to(ROOT)) for path in
                          ROOT.glob('configs/*/metafile.yml')}
    for method in METHODS:
        path = f'configs/{method}/metafile.yml'
        assert path in index
        models = load_yaml(str(ROOT / path))['Models']
        assert sorted(model['Config'] for model in models) == sorted(
            f'configs/{name}' for name in EXPERIMENTS + OWN_DATA
            if name.startswith(f'{method}/'))
        for model in models:
            folder, name = model['Config'].split('/')[1:]
            assert model['Name'] == f'{folder}_{name.removesuffix(".py")}'
            # No result is claimed before someone has run it.
            assert all(result['Metrics'] == {} for result in model['Results'])
