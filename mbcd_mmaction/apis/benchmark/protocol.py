"""A protocol: a small YAML file that names many experiments."""
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from .experiment import Experiment

__all__ = ['ProtocolError', 'read_protocol']

KEYS = ('dataset', 'targets', 'pairs', 'modalities', 'methods', 'seeds')
METHOD_KEYS = ('method', 'variant', 'options', 'options_by_count')
# Would be true on one machine alone, and would enter the record.
_MACHINE_PATH = re.compile(r'(?<![\w.:/])~?/|\b[A-Za-z]:[/\\]|\bfile:')
_NAME = re.compile(r'[a-z0-9]+(-[a-z0-9]+)*')


class ProtocolError(ValueError):
    """A protocol file does not say what it must."""


@dataclass(frozen=True)
class _Method:
    """A row of the table: a method, or one with other options."""
    method: str
    variant: str
    options: tuple[str, ...]
    by_count: Mapping[int, tuple[str, ...]]

    def options_for(self, count: int) -> tuple[str, ...]:
        """Options where a number of modalities is trained."""
        return self.options + self.by_count.get(count, ())


def read_protocol(path: str | Path, root: str | Path) -> list[Experiment]:
    """The experiments of a protocol file.

    Seeds are the outermost loop, so that a part of the runs is whole tables
    of fewer seeds. Modalities are put in the configs' order, and a set that
    is all of them is left to the config.

    Args:
        path (str | Path): The YAML file; docs/benchmark.md has its keys.
        root (str | Path): Folder with ``configs``.

    Raises:
        ProtocolError: For an unknown key, method, domain or modality, an
            empty or repeated entry, an option that is a machine's path, or
            an experiment without a config.
        FileNotFoundError: If there is no such file.
    """
    with open(path, encoding='utf-8') as file:
        try:
            content = yaml.safe_load(file)
        except yaml.YAMLError as error:
            raise ProtocolError(f'{path}: expected YAML: {error}') from error
    try:
        return _Reader(content, Path(root)).experiments()
    except ProtocolError as error:
        raise ProtocolError(f'{path}: {error}; see docs/benchmark.md'
                            ) from error


class _Reader:
    """The content of a file, checked step by step."""

    def __init__(self, content: Any, root: Path) -> None:
        if not isinstance(content, dict):
            raise ProtocolError(f'expected a mapping with {KEYS}, got '
                                f'{content!r}')
        _known('key', content, KEYS)
        self.content, self.root = content, root
        self.dataset = self._dataset()
        self.methods = self._methods()
        self.domains, self.all_modalities = self._vocabulary()

    def experiments(self) -> list[Experiment]:
        """All of them, seed by seed."""
        seeds = self._list('seeds')
        for seed in seeds:
            if not isinstance(seed, int) or isinstance(seed, bool):
                raise ProtocolError('seeds: expected whole numbers, got '
                                    f'{seed!r}')
        _once('seeds', seeds)
        found = [
            Experiment(row.method, self.dataset, target, seed,
                       row.options_for(len(names or self.all_modalities)),
                       row.variant, names, sources)
            for seed, (sources, target), names, row in itertools.product(
                seeds, self._pairs(), self._modalities(), self.methods)
        ]
        for experiment in found:
            if not (self.root / experiment.config).is_file():
                raise ProtocolError(
                    f'expected the config {experiment.config}, found none')
        return found

    def _dataset(self) -> str:
        name = self.content.get('dataset')
        sets = sorted({path.name.split('_')[0] for path in
                       self.root.glob('configs/*/*.py')
                       if _is_target_config(path)})
        if name not in sets:
            raise ProtocolError(f'dataset: expected one of {sets}, got '
                                f'{name!r}')
        return name

    def _methods(self) -> list[_Method]:
        folders = sorted({path.parent.name for path in self.root.glob(
            f'configs/*/{self.dataset}_*.py') if _is_target_config(path)})
        rows = [_method(entry, folders) for entry in self._list('methods')]
        _once('methods', ['-'.join(filter(None, (row.method, row.variant)))
                          for row in rows])
        return rows

    def _vocabulary(self) -> tuple[list[str], list[str]]:
        """Domains and modalities of the set, as its configs have them."""
        path = min(
            (path for path in self.root.glob(
                f'configs/{self.methods[0].method}/{self.dataset}_*.py')
             if _is_target_config(path)), key=lambda path: path.name)
        config = Config.fromfile(path)
        return (sorted([*config.source_domains, *config.target_domains]),
                list(config.model.modalities))

    def _pairs(self) -> list[tuple[tuple[str, ...], str]]:
        """Sources, () for all others, and target."""
        if ('targets' in self.content) == ('pairs' in self.content):
            raise ProtocolError("expected either 'targets' or 'pairs', got "
                                f'the keys {sorted(self.content)}')
        if 'targets' in self.content:
            targets = self._list('targets')
            _known('targets', targets, self.domains)
            _once('targets', targets)
            return [((), target) for target in targets]
        pairs = self._list('pairs')
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise ProtocolError('pairs: expected [source, target], got '
                                    f'{pair!r}')
            _known('pairs', pair, self.domains)
        _once('pairs', pairs)
        return [((source, ), target) for source, target in pairs]

    def _modalities(self) -> list[tuple[str, ...]]:
        """Sets in the configs' order, () for all of them."""
        sets = (self._list('modalities') if 'modalities' in self.content
                else [self.all_modalities])
        found = []
        for names in sets:
            if not isinstance(names, list) or not names:
                raise ProtocolError('modalities: expected lists of some of '
                                    f'{self.all_modalities}, got {names!r}')
            _known('modalities', names, self.all_modalities)
            _once('modalities', names)
            found.append(() if len(names) == len(self.all_modalities) else
                         tuple(m for m in self.all_modalities if m in names))
        _once('modalities', found)
        return found

    def _list(self, key: str) -> list:
        value = self.content.get(key)
        if not isinstance(value, list) or not value:
            raise ProtocolError(f'{key}: expected a list with an entry or '
                                f'more, got {value!r}')
        return value


def _method(entry: Any, folders: Sequence[str]) -> _Method:
    """A row, of a name or of a mapping."""
    if isinstance(entry, str):
        entry = dict(method=entry)
    if not isinstance(entry, dict):
        raise ProtocolError('methods: expected names or mappings with '
                            f'{METHOD_KEYS}, got {entry!r}')
    _known('methods', entry, METHOD_KEYS)
    _known('methods', [entry.get('method')], folders)
    variant = entry.get('variant', '')
    if variant and not (isinstance(variant, str)
                        and _NAME.fullmatch(variant)):
        raise ProtocolError('methods: expected a variant of small letters, '
                            f'digits and hyphens, got {variant!r}')
    if bool(variant) != bool(entry.get('options')):
        raise ProtocolError(
            "methods: expected 'variant' and 'options' together, as other "
            f'options are another row of the table, got {entry!r}')
    by_count = entry.get('options_by_count', {})
    if not isinstance(by_count, dict) or not all(
            isinstance(count, int) for count in by_count):
        raise ProtocolError(
            'methods: options_by_count: expected numbers of modalities with '
            f'a list of options each, got {by_count!r}')
    return _Method(
        entry['method'], variant, _options(entry.get('options', [])),
        {count: _options(values) for count, values in by_count.items()})


def _options(values: Any) -> tuple[str, ...]:
    """``--cfg-options`` that hold on every machine."""
    if not isinstance(values, list) or not all(
            isinstance(v, str) and re.match(r'[\w.]+=', v) for v in values):
        raise ProtocolError("options: expected a list of 'key=value', got "
                            f'{values!r}')
    for value in values:
        if _MACHINE_PATH.search(value):
            raise ProtocolError(
                'options: expected paths from the root of the checkout, as '
                f'options enter the record, got {value!r}')
    return tuple(values)


def _is_target_config(path: Path) -> bool:
    """Whether a config's name is SET_TARGET.py."""
    return re.fullmatch(r'[a-z0-9]+_[a-z0-9]+\.py', path.name) is not None


def _known(what: str, values: Sequence, known: Sequence) -> None:
    for value in values:
        if value not in known:
            raise ProtocolError(f'{what}: expected one of {list(known)}, got '
                                f'{value!r}')


def _once(what: str, values: Sequence) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ProtocolError(f'{what}: expected each once, got {value!r} '
                                'twice')
