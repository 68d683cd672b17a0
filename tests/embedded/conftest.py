"""Where servers of these tests keep their data."""

import tempfile
from pathlib import Path

import pytest

from tests.settings import RUN_FOLDER


@pytest.fixture
def place() -> Path:
    """Return a folder that another account may be let into.

    pytest closes the parent of `tmp_path` to other accounts whenever a run starts, this one or
    another; root's PostgreSQL, which runs as somebody else, would lose its files.
    """
    return Path(tempfile.mkdtemp(dir=RUN_FOLDER))
