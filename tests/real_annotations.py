"""Where the annotation files of the published sets are, if they are here."""
import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get('MBCD_ANNOTATIONS')
    or Path(__file__).parents[2] / 'shared' / 'data' / 'annotations')
EPIC = FOLDER / 'MM-SADA_Domain_Adaptation_Splits'
HAC = FOLDER / 'HAC_Splits'


def needs(folder):
    """Mark of a test that reads the files of a set."""
    return pytest.mark.skipif(
        not folder.is_dir(),
        reason=f'the real annotation files are not at {folder}; set '
        'MBCD_ANNOTATIONS to the folder that holds their folder')
