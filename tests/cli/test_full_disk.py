"""Through the real command line: no room, no inodes, a parent that takes no names; nothing is written before that."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        ("size=64k", "copy", "no-space", "bytes are needed (an estimate)"),
        ("nr_inodes=30", "symlink", "no-inodes", "inodes are needed (an estimate)"),
        ("ro", "copy", "parent-not-writable", "not writable"),
    ],
)
def test_refused_before_anything_is_written(disk: Path, options: str, mode: str, kind: str, says: str) -> None:
    remount(disk, options)
    before = tree_state(disk.parent)
    for dry in ([], ["--dry-run"]):
        error = run_json("apply", "--mode", mode, *dry, code=4)["error"]
        assert error["kind"] == kind
        assert says in error["message"]
        assert error["hint"]
    assert tree_state(disk.parent) == before
    remount(disk, "size=64m,nr_inodes=10000,rw")
    assert run_json("apply", "--mode", mode)["published"]


def test_a_plan_file_that_has_no_room_is_said(disk: Path) -> None:
    remount(disk, "size=4k")
    assert "cannot be written" in run("plan", "in", "--output", "out", "--plan-file", "disk/plan.json", code=4).stderr
    assert os.listdir(disk) == []
