"""Through the real command line: no room, no inodes, a parent that takes no names; nothing is written before that."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance import fs
from tests.builders import tree_state
from tests.cli.command import knees, run, run_json
from tests.disks import remount, small_disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    knees(tmp_path / "in")
    with small_disk(tmp_path / "disk") as mounted:
        run("plan", "in", "--output", "disk/out")
        yield mounted


@pytest.mark.parametrize(
    ("options", "mode", "kind", "says"),
    [
        (
            "size=64k",
            "copy",
            "no-space",
            r"about [\d.]+ KiB are needed \(an estimate\), and .* free, so .* KiB are missing: make room",
        ),
        (
            "nr_inodes=30",
            "symlink",
            "no-inodes",
            r"about \d+ inodes are needed \(an estimate\), and .* free, so \d+ inodes are missing: make room",
        ),
        ("ro", "copy", "parent-not-writable", "not writable"),
    ],
)
def test_refused_before_anything_is_written(disk: Path, options: str, mode: str, kind: str, says: str) -> None:
    remount(disk, options)
    before = tree_state(disk.parent)
    for dry in ([], ["--dry-run"]):
        error = run_json("apply", "--mode", mode, *dry, code=4)["error"]
        assert error["kind"] == kind
        assert re.search(says, error["message"])
        assert error["hint"]
    assert tree_state(disk.parent) == before
    remount(disk, "size=64m,nr_inodes=10000,rw")
    assert run_json("apply", "--mode", mode)["published"]


def test_a_disk_that_gets_full_says_what_the_rest_needs_and_the_same_command_goes_on(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota: the file system shows more room than there is, until it is full."""
    remount(disk, "size=64k")
    with monkeypatch.context() as patch:
        patch.setattr(fs, "room", lambda _path: fs.Room(1 << 30, 10_000, 4096))
        quota = run_json("apply", code=5)["error"]["message"]
    assert re.search(r"no space .* left.*; about [\d.]+ KiB are still needed \(an estimate\)", quota)
    room, asked = fs.room, []

    def room_that_shrinks(path: str) -> fs.Room:
        asked.append(path)
        return fs.Room(1 << 30, 10_000, 4096) if len(asked) < 2 else room(path)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "room", room_that_shrinks)
        error = run_json("apply", code=5)["error"]
    assert re.search(r"about [\d.]+ KiB more are needed \(an estimate\)", error["message"])
    assert "make room, then run the same command again" in error["hint"]
    remount(disk, "size=64m")
    assert run_json("apply")["published"]


def test_a_plan_file_that_has_no_room_is_said(disk: Path) -> None:
    remount(disk, "size=4k")
    assert "cannot be written" in run("plan", "in", "--output", "out", "--plan-file", "disk/plan.json", code=4).stderr
    assert os.listdir(disk) == []
