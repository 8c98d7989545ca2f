import hashlib
import os
from pathlib import Path

import pytest

from planbalance.audit.file_facts import list_followed, list_unplanned, look, read, read_small
from tests.builders import write


def test_what_is_not_claimed_is_listed_without_following_a_link(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("images/train/a.png", "labels/train/a.txt", "labels/train.cache", "images/train/a.npy", "x/.hidden"):
        write(root / name, b"1")
    write(tmp_path / "elsewhere/b.png", b"2")
    os.symlink(tmp_path / "elsewhere", root / "images/val")
    os.symlink("nowhere", root / "images/train/b.png")
    os.mkfifo(root / "images/train/pipe.png")
    every = {
        "images/val": "link",
        "images/train/a.png": "file",
        "images/train/b.png": "link",
        "images/train/pipe.png": "other",
        "labels/train/a.txt": "file",
        "x/.hidden": "file",
    }
    assert list_unplanned(str(root), {}, leave_out=frozenset()).kinds == every
    planned_names = {"images/train": {"a.png", "pipe.png"}, "labels/train": {"a.txt"}, "gone": {"1"}, "": {"x"}}
    rest = {path: kind for path, kind in every.items() if path in ("images/val", "images/train/b.png")}
    assert list_unplanned(str(root), planned_names, leave_out=frozenset()).kinds == rest
    assert "x/.hidden" not in list_unplanned(str(root), {}, leave_out=frozenset(("x",))).kinds


def test_a_listing_that_follows_links_ends_in_a_loop(tmp_path: Path) -> None:
    write(tmp_path / "set/a/1.png", b"1")
    os.symlink("..", tmp_path / "set/a/up")
    write(tmp_path / "other/2.png", b"1")
    os.symlink(tmp_path / "other", tmp_path / "set/more")
    assert list(list_followed(str(tmp_path / "set"))) == ["a/1.png", "more/2.png"]
    assert list(list_followed(str(tmp_path / "set"), leave_out=frozenset(("a",)))) == ["more/2.png"]


def test_a_folder_that_cannot_be_listed_is_a_fact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a/1.png", b"1")
    listed = os.listdir

    def refused(path: str) -> list[str]:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr("planbalance.audit.file_facts.os.listdir", refused)
    assert list_unplanned(str(tmp_path), {}, leave_out=frozenset()).unreadable == [("a", "Permission denied")]


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7])
def test_content_is_hashed_whatever_its_size(tmp_path: Path, size: int) -> None:
    data = (b"slice " * (size // 6 + 1))[:size]
    found = read(str(write(tmp_path / "a", data)), keep=True)
    assert (found.kind, found.size, found.digest, found.data) == ("file", size, hashlib.sha256(data).digest(), data)
    assert found.flat == (size < 2)


@pytest.mark.parametrize("size", [1, 5000, (2 << 20) + 3])
def test_one_value_only_is_flat(tmp_path: Path, size: int) -> None:
    assert read(str(write(tmp_path / "a", b"\x10" * size))).flat
    if size > 1:
        assert not read(str(write(tmp_path / "b", b"\x10" * (size - 1) + b"\x11"))).flat
        assert not read(
            str(write(tmp_path / "c", b"\x10" * (size // 3) + b"\x11" + b"\x10" * (size - size // 3 - 1)))
        ).flat


def test_a_pipe_a_device_a_folder_and_nothing_are_facts_and_never_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    os.symlink("pipe", tmp_path / "to_pipe")
    os.symlink("to_itself", tmp_path / "to_itself")
    assert read(str(tmp_path / "pipe")).kind == "other"
    assert read(str(tmp_path / "to_pipe"), follow=True).kind == "other"
    assert read(str(tmp_path / "to_pipe")).kind == "link"
    assert read("/dev/zero").kind == "other"
    assert read(str(tmp_path / "folder")).kind == "folder"
    assert read(str(tmp_path / "nothing")).kind == "missing"
    assert read(str(tmp_path / "to_itself"), follow=True).kind == "unreadable"
    assert read("a\0b").kind == "unreadable"


def test_a_file_beyond_its_limit_is_not_read(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a", b"123"))
    assert read(path, most=3, keep=True).data == b"123"
    assert (read(path, most=2, keep=True).data, read(path, most=2).digest, read(path, most=2).size) == (None, b"", 3)


def test_links_are_looked_at_or_through(tmp_path: Path) -> None:
    write(tmp_path / "a", b"123")
    os.symlink("a", tmp_path / "link")
    os.symlink("gone", tmp_path / "dangling")
    assert look(str(tmp_path / "link")) == look(str(tmp_path / "link"))._replace(kind="link", target="a", size=0)
    through = look(str(tmp_path / "link"), follow=True)
    assert (through.kind, through.size, through.target) == ("file", 3, "a")
    assert look(str(tmp_path / "dangling"), follow=True)._replace() == read(str(tmp_path / "dangling"), follow=True)
    assert look(str(tmp_path / "dangling"), follow=True).target == "gone"


def test_a_document_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.yaml", b"x" * 100))
    assert read_small(path, 100).data == b"x" * 100
    assert (read_small(path, 99).kind, read_small(path, 99).data) == ("unreadable", None)
    os.symlink("a.yaml", tmp_path / "b.yaml")
    assert read_small(str(tmp_path / "b.yaml"), 100).kind == "link"
