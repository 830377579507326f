"""The versions of mmcv that MMAction2 accepts."""
import os
import sys

INSTALL_HINT = "pip install 'mmcv-lite>=2.0,<2.2'"
ALLOW_VARIABLE = 'MBCD_ALLOW_NEW_MMCV'
_ACCEPTED_BY_HOST = '2.1.0'


def check_mmcv() -> bool:
    """Say clearly which mmcv is needed, and let a newer one in on request.

    Symptom: ``ModuleNotFoundError: mmcv``, or ``AssertionError: MMCV==2.2.0
    is used but incompatible``. Cause: MMAction2 does not declare mmcv (the
    name of the distribution is either mmcv or mmcv-lite), and
    ``mmaction/__init__.py`` asserts a version below 2.2. With the environment
    variable ``MBCD_ALLOW_NEW_MMCV=1`` the version shown to that assertion is
    2.1.0 while ``mmaction`` is imported for the first time.

    Returns:
        bool: whether a newer mmcv was let in.

    Raises:
        ImportError: mmcv is absent, older than 2.0 or newer than 2.1.
    """
    if 'mmaction' in sys.modules:
        return False
    try:
        import mmcv
    except ModuleNotFoundError as error:
        if error.name != 'mmcv':
            raise
        raise ImportError(
            'mbcd_mmaction needs mmcv or mmcv-lite, at least 2.0 and below '
            f'2.2, and found neither: {INSTALL_HINT}') from None
    from mmengine.utils import digit_version
    found = digit_version(mmcv.__version__)
    if digit_version('2.0.0rc4') <= found < digit_version('2.2.0'):
        return False
    newer = found >= digit_version('2.2.0')
    if not newer or os.environ.get(ALLOW_VARIABLE, '0') in ('', '0'):
        raise ImportError(
            'MMAction2 1.2 accepts mmcv at least 2.0 and below 2.2, got '
            f'{mmcv.__version__}: {INSTALL_HINT}' +
            (f', or set {ALLOW_VARIABLE}=1 to try it all the same.'
             if newer else ''))
    _import_mmaction_with(mmcv)
    return True


def _import_mmaction_with(mmcv) -> None:
    """Import mmaction while ``mmcv`` shows a version that it accepts."""
    version = mmcv.__version__
    mmcv.__version__ = _ACCEPTED_BY_HOST
    try:
        import mmaction  # noqa: F401
    finally:
        mmcv.__version__ = version
