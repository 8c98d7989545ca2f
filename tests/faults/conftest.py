"""Where trials by the thousand are made."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder that costs no disk: on a tmpfs where there is one, else as any other."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="planbalance-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
