"""A network file system whose client sees another node's new names late: taken when made, not there when opened."""

import os
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs


class LateOs:
    """An `os` for which what already stands in a folder is not there for the first few opens of it."""

    def __init__(self, late: str, times: int) -> None:
        self._late, self._times = late, times

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == self._late and self._times > 0:
            self._times -= 1
            if flags & os.O_CREAT:
                raise FileExistsError(17, "File exists", path)
            raise FileNotFoundError(2, "No such file", path)
        return os.open(path, flags, mode, dir_fd=dir_fd)


@pytest.fixture
def folder(tmp_path: Path) -> fs.Tree:
    (tmp_path / "images").mkdir()
    (tmp_path / fs.LOCK).write_bytes(b"")
    return fs.Tree(str(tmp_path))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "LOOK_SECONDS", 0.0)


def test_a_folder_that_another_node_has_just_made(folder: fs.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "os", LateOs("images", 4))
    fs.close(fs.make_below(folder.fd, "images"))
    folder.close()


def test_a_lock_file_that_another_node_has_just_made(folder: fs.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "os", LateOs(fs.LOCK, 5))
    lock = fs.Lock(folder.fd, b"me", shared=True)
    assert fs.lock_holder(folder.fd) == b"me"
    lock.release()
    folder.close()


def test_what_is_never_seen_is_said(folder: fs.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "os", LateOs("images", 10_000))
    with pytest.raises(FileNotFoundError):
        fs.make_below(folder.fd, "images")
    folder.close()
