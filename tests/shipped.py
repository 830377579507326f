"""The configs that are shipped, and what their names say."""
import functools
import itertools
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
SPLITS = ('train', 'val', 'test')
# The folders whose files are experiments, and how their first line begins.
METHODS = dict(mbcd='MBCD on', mbcd_released='MBCD as released, on',
               erm='ERM on', ema='ERM with weight averaging (EMA) on',
               rna_net='RNA-Net on', simmmdg='SimMMDG on', moosa='MOOSA on',
               cmrf='CMRF on')
# Other folders of configs, whose files have tests of their own.
OTHERS = {'_base_', 'mixing'}
DOMAINS = dict(mini=('D1', 'D2', 'D3'), epic=('D1', 'D2', 'D3'),
               hac=('human', 'animal', 'cartoon'))
TITLES = dict(mini='the mini set', epic='EPIC-Kitchens', hac='HAC')
# A person's own set: its domains stand in the file.
OWN = ('own_data.py', 'own_data_small.py')
EXPERIMENTS = sorted(
    str(path.relative_to(ROOT / 'configs')) for method in METHODS
    for path in ROOT.glob(f'configs/{method}/*.py') if path.name not in OWN)
OWN_DATA = sorted(str(path.relative_to(ROOT / 'configs'))
                  for path in ROOT.glob('configs/*/*.py') if path.name in OWN)


@functools.cache
def _load(path):
    return Config.fromfile(ROOT / 'configs' / path)


def load(path):
    return Config(_load(path).to_dict())


def parse(path):
    """Method, set, source domains and target of a file's name.

    ``erm/hac_human.py`` is trained on the others, ``erm/
    hac_animal_to_human.py`` on animal alone.
    """
    method, name = path.split('/')
    data, *words = name.removesuffix('.py').split('_')
    of = {domain.lower(): domain for domain in DOMAINS[data]}
    if len(words) == 1:
        target = of[words[0]]
        return method, data, set(of.values()) - {target}, target
    source, to, target = words
    assert to == 'to' and source != target
    return method, data, {of[source]}, of[target]


def experiments_of(method):
    """Names of the files that a method should have."""
    sets = ('epic', 'hac') if method == 'mbcd_released' else tuple(DOMAINS)
    for data in sets:
        names = [domain.lower() for domain in DOMAINS[data]]
        yield from (f'{data}_{name}.py' for name in names)
        if data != 'mini' and method != 'mbcd_released':
            yield from (f'{data}_{source}_to_{target}.py'
                        for source, target in itertools.permutations(names, 2))
