"""A disk that is really full, in bytes and in inodes: exit 4 before anything is written or 5 later, and a resume."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, PlanError
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.disks import remount, small_disk
from tests.engine.plans import saved_plan

VOLUMES = {f"{index:02d}-v": "+....." for index in range(12)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of its own, which `remount` makes smaller or larger."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def plan_on(disk: Path, root: Path) -> PlanFile:
    source = yolo_tree(root / "in", VOLUMES)
    return saved_plan([source], disk / "set", root / "plan.json")


FULL = [("size=200k,nr_inodes=10000", "copy"), ("size=64m,nr_inodes=90", "copy"), ("size=64m,nr_inodes=90", "symlink")]


@pytest.mark.parametrize(("options", "mode"), FULL)
def test_the_estimate_refuses_before_anything_is_written(disk: Path, tmp_path: Path, options: str, mode: str) -> None:
    plan = plan_on(disk, tmp_path)
    remount(disk, options)
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(mode=mode))  # type: ignore[arg-type]  # parametrized
    assert caught.value.exit_code == 4
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize(("options", "mode"), FULL)
def test_full_in_the_middle_stops_and_resumes_once_there_is_room(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, mode: str
) -> None:
    plan = plan_on(disk, tmp_path)
    before = tree_state(tmp_path / "in")
    remount(disk, options)
    wanted = ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    with monkeypatch.context() as patch:
        patch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))  # a quota that statvfs does not show
        with pytest.raises(IncompleteError) as caught:
            apply_plan(plan, wanted)
    assert caught.value.exit_code == 5
    assert "no space" in caught.value.message
    assert not (disk / "set").exists()
    remount(disk, "size=64m,nr_inodes=10000")
    outcome = apply_plan(plan, wanted)
    assert outcome.published
    assert outcome.resumed > 0
    apply_plan(plan, ApplyOptions(mode=mode, output=str(disk / "again")))  # type: ignore[arg-type]  # parametrized
    resumed, again = tree_content(disk / "set"), tree_content(disk / "again")
    assert {path for path in again if again[path] != resumed.get(path)} == {"dataset.yaml"}
    assert tree_state(tmp_path / "in") == before


@pytest.mark.torture
def test_full_at_a_hundred_sizes(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_on(disk, tmp_path)
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))
    for step in range(100):
        remount(disk, f"size={40 + 8 * step}k,nr_inodes=10000" if step % 2 else f"size=64m,nr_inodes={6 + 2 * step}")
        wanted = ApplyOptions(mode=("copy", "symlink")[step // 2 % 2])
        try:
            apply_plan(plan, wanted)
        except (IncompleteError, PlanError):
            assert not (disk / "set").exists()
            remount(disk, "size=64m,nr_inodes=10000")
            apply_plan(plan, wanted)
        assert len(list((disk / "set").rglob("*.png"))) == 72
        shutil.rmtree(disk / "set")
