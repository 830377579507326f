"""Loading of MMEngine checkpoints with ``weights_only=True``."""
import pickle

import numpy as np
import torch

_STATISTICS = ('min', 'max', 'mean', 'current')


def history_buffer_method(owner: object, name: str) -> object:
    """What a checkpoint's ``getattr`` may fetch: four HistoryBuffer methods.

    The real ``getattr`` must never be allowed: together with what torch
    itself allows it reaches ``eval``, and a file could run any code.

    Args:
        owner (object): The object whose attribute the file asks for.
        name (str): The attribute's name.

    Raises:
        pickle.UnpicklingError: anything else was asked for.
    """
    from mmengine.logging.history_buffer import HistoryBuffer
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(
            f'refused getattr({owner!r}, {name!r}): a checkpoint may only '
            f'name {_STATISTICS} of HistoryBuffer')
    return getattr(owner, name)


def checkpoint_globals() -> list[tuple[object, str]]:
    """The closed list of what an MMEngine checkpoint refers to by name.

    Each entry is a pair (object, name in the file). Pairs survive another
    library's ``safe_globals`` context, which takes plain entries with it on
    leaving. NumPy moved its modules in version 2; files of both are read.
    """
    from mmengine.config import ConfigDict
    from mmengine.logging.history_buffer import HistoryBuffer
    core = np._core if hasattr(np, '_core') else np.core
    multiarray = [
        (getattr(core.multiarray, function),
         f'numpy.{path}.multiarray.{function}')
        for function in ('_reconstruct', 'scalar')
        for path in ('_core', 'core')
    ]
    dtypes = [(type(np.dtype(code)), f'numpy.dtypes.{name}DType')
              for code, name in (('f8', 'Float64'), ('i8', 'Int64'),
                                 ('f4', 'Float32'), ('i4', 'Int32'))]
    return [
        (HistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (history_buffer_method, 'builtins.getattr'),
        (ConfigDict, 'mmengine.config.config.ConfigDict'),
        (np.ndarray, 'numpy.ndarray'),
        (np.dtype, 'numpy.dtype'),
        *multiarray,
        *dtypes,
    ]


def allow_checkpoint_globals() -> bool:
    """Let torch read MMEngine's own checkpoints without trusting the file.

    Symptom: ``UnpicklingError: Weights only load failed`` on resume, on
    ``load_from`` and in ``tools/test.py``. Cause: since 2.6 ``torch.load``
    reads only tensors and plain containers unless told otherwise, and
    MMEngine stores its log buffers and NumPy numbers beside the weights.

    Returns:
        bool: True, as the list is always needed.
    """
    torch.serialization.add_safe_globals(checkpoint_globals())
    return True
