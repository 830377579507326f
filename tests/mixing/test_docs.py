"""What docs/mixing.md shows works as it stands."""
import re

import pytest
import stock
import torch
from cases import CASES
from mmengine.config import Config

ROOT = stock.ROOT
TEXT = (ROOT / 'docs/mixing.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.S)
CONFIGS = [block for block in BLOCKS if 'custom_imports' in block]
SHELL = '\n'.join(re.findall(r'```bash\n(.*?)```', TEXT, re.S))


def block_with(word):
    """The one snippet that holds a word."""
    (block, ) = [b for b in BLOCKS if word in b]
    return block


def run(code, **names):
    exec(compile(code, 'docs/mixing.md', 'exec'), names)
    return names


def test_all_snippets_are_tested():
    assert len(BLOCKS) == len(CONFIGS) + 3
    assert len(CONFIGS) == 2


@pytest.mark.parametrize('block', CONFIGS)
def test_config_snippets_are_the_shipped_ones(block, tmp_path):
    """test_stock_tools.py trains with those."""
    name = re.match(r'# (\S+)', block).group(1)
    (tmp_path / 'config.py').write_text(block)
    shown, shipped = (
        Config.fromfile(path, import_custom_modules=False).to_dict()
        for path in (tmp_path / 'config.py', ROOT / name))
    assert shown == shipped


def test_dropout_without_a_runner():
    code = block_with('AdaptiveModalityDropout')
    assert len(code.splitlines()) <= 32
    names = run(code)
    prob = names['dropout'].drop_prob(names['logits'])
    assert prob['camera'] > 0 and prob['radar'] == 0
    masked = names['dropout'](names['embeddings'], names['logits'])
    for modality, embedding in names['embeddings'].items():
        assert torch.equal(masked[modality], embedding)


def test_any_model_and_its_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(block_with('class Classifier'), __name__='mixing')
    assert names['runner'].iter == 4
    scalars = names['runner'].message_hub.get_scalar('train/loss_distill')
    losses = scalars.data[0]
    assert len(losses) == 4
    assert all(value > 0 for value in losses[1:])
    capsys.readouterr()
    run(block_with('torch.load'),
        checkpoint=tmp_path / 'work_dirs/any_model/epoch_1.pth')
    assert capsys.readouterr().out == 'True\n'


def test_the_cures_are_told(capsys):
    run(re.search(r'python -c "(.*?)"', TEXT).group(1))
    assert "'drn': " in capsys.readouterr().out


def test_examples_are_listed():
    listed = re.findall(r'^\| `(\w[\w-]*\.py)` \| (\w+)', TEXT, re.M)
    assert {name for name, _ in listed} == {
        path.name for path in (ROOT / 'configs/mixing').glob('*.py')}
    for name, kind in listed:
        cfg = Config.fromfile(ROOT / 'configs/mixing' / name,
                              import_custom_modules=False)
        assert cfg.model.type == kind


def test_counts_of_stock_configs():
    """Five examples and eleven more, by their papers' names."""
    words = re.search(r'small by `--cfg-options`:(.*?)\.\n', TEXT, re.S)
    named = re.split(r',| and ', words.group(1))
    others = [case for case in CASES.values() if not case.example]
    assert len(named) == len(others) == 11


def test_commands_name_what_exists():
    for name in re.findall(r'(?:configs|tools)/[\w/.-]+\.py', TEXT):
        assert (ROOT / name).is_file(), name
    for flag in ('--checkpoint', '--gpus'):
        assert flag in SHELL
