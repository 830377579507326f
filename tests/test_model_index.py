"""What MIM reads: model-index.yml and the metafiles it names."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def models_of_the_index():
    """Each model entry that model-index.yml leads to, and its collections."""
    from mmengine.fileio import load
    for name in load(str(ROOT / 'model-index.yml'))['Import']:
        metafile = load(str(ROOT / name))
        collections = {item['Name'] for item in metafile['Collections']}
        for model in metafile['Models']:
            yield model, collections


def test_metafiles_hold_what_mim_reads():
    """MIM's search makes a table of these fields."""
    models = [model for model, _ in models_of_the_index()]
    assert models
    for model in models:
        assert re.fullmatch(r'[a-z0-9_]+', model['Name'])
        assert isinstance(model['Metadata'], dict)
        assert (ROOT / model['Config']).is_file()
        for result in model['Results']:
            assert {'Task', 'Dataset', 'Metrics'} <= set(result)


def test_mi_check():
    client = pytest.importorskip('modelindex.load_model_index',
                                 reason='model-index is not installed')
    index = client.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert len(index.models) == len(list(models_of_the_index()))


def test_the_model_index_names_every_experiment_once():
    models = [model for model, _ in models_of_the_index()]
    assert sorted(model['Config'] for model in models) == sorted(
        str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/*.py')
        if path.parent.name not in ('_base_', 'mixing'))
    assert len({model['Name'] for model in models}) == len(models)


@pytest.mark.parametrize(
    'model, collections', list(models_of_the_index()),
    ids=lambda item: item['Name'] if isinstance(item, dict) else '')
def test_the_model_index_says_what_the_config_does(model, collections):
    from mmengine.config import Config
    cfg = Config.fromfile(ROOT / model['Config'], import_custom_modules=False)
    assert model['In Collection'] in collections
    for name in cfg.model.modalities:
        assert name in model['Modality'].lower()
    data = model['Metadata']
    assert data['Epochs'] == cfg.train_cfg.max_epochs
    assert data['Batch Size'] == cfg.train_dataloader.batch_size
    for said, loader in ((data['Training Data'], cfg.train_dataloader),
                         (model['Results'][0]['Dataset'],
                          cfg.test_dataloader)):
        assert said.split(', ')[1:] == loader.dataset.domains
        assert ('mini' in said) == (
            'mini' in loader.dataset.get('data_root', ''))
