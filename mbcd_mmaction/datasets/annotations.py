"""Annotation files of the MM-SADA splits: pickled DataFrame or CSV."""
import csv
import importlib
import importlib.util
import os
import pickle
import types
from collections.abc import Iterator
from typing import Any

from .text_file import open_text

_REQUIRED = {
    'video_id': str,
    'start_timestamp': None,
    'stop_timestamp': None,
    'start_frame': int,
    'stop_frame': int,
    'verb_class': int,
}
# Rows of a DataFrame that are Python objects at a time.
_AT_ONCE = 4096
_OPTIONAL = {'uid': int, 'participant_id': str, 'narration': str, 'verb': str}

# Everything that a pickled DataFrame of numbers and text names, over
# pandas 0.25 to 3 and NumPy 1 and 2. Nothing here opens, imports or runs.
_ALLOWED = frozenset([
    ('builtins', 'slice'),
    ('__builtin__', 'slice'),
    ('_codecs', 'encode'),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy.core.numeric', '_frombuffer'),
    ('numpy._core.numeric', '_frombuffer'),
    ('pandas', 'DataFrame'),
    ('pandas', 'Index'),
    ('pandas', 'RangeIndex'),
    ('pandas', 'StringDtype'),
    ('pandas.arrays', 'StringArray'),
    ('pandas.core.frame', 'DataFrame'),
    ('pandas.core.indexes.base', 'Index'),
    ('pandas.core.indexes.base', '_new_Index'),
    ('pandas.core.indexes.numeric', 'Int64Index'),
    ('pandas.core.indexes.range', 'RangeIndex'),
    ('pandas.core.internals.blocks', 'new_block'),
    ('pandas.core.internals.managers', 'BlockManager'),
    ('pandas.core.arrays.string_', 'StringArray'),
    ('pandas.core.arrays.string_', 'StringDtype'),
    ('pandas._libs.arrays', '__pyx_unpickle_NDArrayBacked'),
    ('pandas._libs.internals', '_unpickle_block'),
])


def read_annotations(path: str) -> list[dict[str, Any]]:
    """Read one annotation file of the MM-SADA splits.

    Args:
        path (str): A ``.pkl`` (pickled pandas DataFrame) or ``.csv`` file
            with the columns video_id, start_timestamp, stop_timestamp,
            start_frame, stop_frame, verb_class and, optionally, uid,
            participant_id, narration and verb.

    Returns:
        list[dict]: One dict a row, keyed by those columns; timestamps are
        seconds (float), frames, uid and classes are ints.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file, CSV that is not UTF-8, a column is
            missing, or a value cannot be read or is blank; the row is named.
        pickle.UnpicklingError: The pickle names something that a DataFrame
            does not need, or is damaged.
    """
    return list(iter_annotations(path))


def iter_annotations(path: str) -> Iterator[dict[str, Any]]:
    """The rows of :func:`read_annotations` one by one."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f'expected an annotation file: {path}')
    suffix = os.path.splitext(path)[1].lower()
    if suffix == '.pkl':
        rows = _read_pickle(path)
    elif suffix == '.csv':
        rows = _read_csv(path)
    else:
        raise ValueError(
            f'annotation file: expected a .pkl or .csv, got {path}')
    for number, row in enumerate(rows):
        yield _convert(row, number, path)


def seconds(timestamp: Any) -> float:
    """Turn 'HH:MM:SS.ss' (or MM:SS, or seconds) into seconds.

    Args:
        timestamp (str | float | int): The time.

    Returns:
        float: Seconds.

    Raises:
        ValueError: The text is not a time.
    """
    total = 0.0
    for part in str(timestamp).strip().split(':'):
        value = float(part)
        if not 0 <= value < float('inf') or part.strip().startswith('-'):
            raise ValueError('expected a time of 0 seconds or more, got '
                             f'{timestamp!r}')
        total = total * 60 + value
    return total


def _read_csv(path: str) -> Iterator[dict]:
    """Rows of a CSV file, which end with the file and not before."""
    with open_text(path) as file:
        reader = csv.DictReader(file, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise ValueError(f'{path}, line {reader.line_num + 1}: no CSV '
                             f'({error})') from error


def _convert(row: dict, number: int, path: str) -> dict[str, Any]:
    """Give one row its types; errors name the row and the file."""
    missing = [name for name in _REQUIRED if row.get(name) is None]
    if missing:
        raise ValueError(f'{path}: row {number} lacks {missing}; it has '
                         f'{sorted(map(str, row))}')
    record = {}
    for name, kind in {**_REQUIRED, **_OPTIONAL}.items():
        value = row.get(name)
        if value is None:
            continue
        if kind is str and name in _REQUIRED and not str(value).strip():
            raise ValueError(f'{path}: row {number}: {name} is blank')
        try:
            record[name] = seconds(value) if kind is None else kind(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{path}: row {number}, column {name!r}: '
                             f'cannot read {value!r} ({error})') from error
    return record


def _read_pickle(path: str) -> Iterator[dict]:
    """Rows of a pickled DataFrame, read without running foreign code."""
    try:
        pandas = importlib.import_module('pandas')
        unpickler = _restricted_unpickler()
    except ImportError as error:
        raise ImportError(
            f'{path} is a pickled pandas DataFrame: run `pip install pandas`, '
            'or save the same columns as a .csv in its place') from error
    with open(path, 'rb') as file:
        try:
            frame = unpickler(file, path).load()
        except pickle.UnpicklingError:
            raise
        except Exception as error:  # damage shows in any of many ways
            raise pickle.UnpicklingError(
                f'{path}: damaged, or not a pickle '
                f'({type(error).__name__}: {error})') from error
    if not isinstance(frame, pandas.DataFrame):
        raise ValueError(f'{path}: expected a pickled pandas DataFrame, got '
                         f'{type(frame).__name__}')
    for start in range(0, len(frame), _AT_ONCE):
        yield from frame.iloc[start:start + _AT_ONCE].to_dict('records')


def _restricted_unpickler() -> type[pickle._Unpickler]:
    """The class of pandas' unpickler that admits a DataFrame's parts only.

    pandas' own class is taken because it knows under which names older
    versions pickled the same parts.
    """
    compat = importlib.import_module('pandas.compat.pickle_compat')

    class RestrictedUnpickler(compat.Unpickler):
        dispatch = compat.Unpickler.dispatch.copy()

        def __init__(self, file: Any, path: str) -> None:
            super().__init__(file)
            self.path = path

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in _ALLOWED:
                raise pickle.UnpicklingError(
                    f'{self.path}: refused {module}.{name}: a pickled '
                    'DataFrame of annotations does not need it. If the file '
                    'is trusted, load it with pandas and save it as .csv')
            if module.startswith('numpy.core'):
                # NumPy 2 keeps these under another name, and warns.
                modern = module.replace('numpy.core', 'numpy._core')
                if importlib.util.find_spec(modern) is not None:
                    module = modern
            return super().find_class(module, name)

        def load_build(self) -> None:
            # State may be given to an instance, never to a class or
            # function of a library.
            target = self.stack[-2]
            if isinstance(target, (type, types.FunctionType,
                                   types.BuiltinFunctionType)):
                raise pickle.UnpicklingError(
                    f'{self.path}: refused to change {target!r}')
            super().load_build()

        dispatch[pickle.BUILD[0]] = load_build

    return RestrictedUnpickler
