"""The dataset that the demo draws, drawn once a worker."""

import os
from pathlib import Path

import pytest

from planbalance import demo


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("docs") / "knees"
    demo.write_dataset(os.fspath(root))
    return root
