"""Where most commands are tried: in a folder that holds the small dataset."""

from pathlib import Path

import pytest

from tests.cli.command import knees


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the dataset in `in`."""
    monkeypatch.chdir(tmp_path)
    knees(tmp_path / "in")
    return tmp_path
