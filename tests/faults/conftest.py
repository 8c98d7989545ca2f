"""Where trials by the thousand are made."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """Make a folder that costs no disk: on a tmpfs where there is one, else `otherwise`."""
    if not os.access("/dev/shm", os.W_OK):
        yield otherwise
        return
    folder = Path(tempfile.mkdtemp(prefix="planbalance-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """Such a folder for one test."""
    with memory_folder(tmp_path) as folder:
        yield folder
