"""A disk that is really full, in bytes and in inodes: exit 4 before anything is written or 5 later, and a resume."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, PlanError
from planbalance.modes import MODE_TABLE, Mode
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.conftest import Trials
from tests.disks import remount, small_disk
from tests.engine.plans import saved_plan
from tests.systems import needs_linux

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


def test_an_empty_disk_as_the_output_is_refused_before_anything_is_written(disk: Path, tmp_path: Path) -> None:
    """A rename cannot put anything there: better said before the work than after it."""
    plan = plan_on(disk, tmp_path)
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(output=str(disk)))
    assert (caught.value.exit_code, caught.value.kind) == (4, "output-is-mount-point")
    assert f"{disk}/dataset" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "in", "plan.json"]


def packed_content(disk: Path, mode: str) -> dict[str, bytes]:
    """Return the one file and the file with its sum; nothing else may be there."""
    name = f"set{MODE_TABLE[mode].one_file}"  # type: ignore[index]  # parametrized
    assert sorted(path.name for path in disk.iterdir()) == [name, f"{name}.sha256"]
    return {path.name: path.read_bytes() for path in disk.iterdir()}


@needs_linux("fallocate")
@pytest.mark.parametrize("mode", ["squashfs", "tar"])
def test_one_file_takes_its_room_before_a_slice_is_placed(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    plan = plan_on(disk, tmp_path)
    wanted = ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    remount(disk, "size=400k,nr_inodes=10000")
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, wanted)
    assert caught.value.kind == "no-space"
    assert list(disk.iterdir()) == []
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))  # a quota that statvfs does not show
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, wanted)
    assert (caught.value.exit_code, caught.value.kind) == (4, "no-space")
    assert "There is no room for the" in caught.value.message
    remount(disk, "size=64m,nr_inodes=10000")
    assert apply_plan(plan, wanted).resumed == 0
    packed_content(disk, mode)


@pytest.mark.torture(row=3)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["squashfs", "tar"])
def test_one_file_at_a_hundred_sizes(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: Trials, mode: str
) -> None:
    plan, draw = plan_on(disk, tmp_path), trials.draw
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))
    wanted = ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    apply_plan(plan, wanted)
    whole = packed_content(disk, mode)
    for _ in range(100):
        for path in disk.iterdir():
            path.unlink()
        small = f"size={4 * draw.randint(4, 600)}k,nr_inodes=10000", f"size=64m,nr_inodes={draw.randint(4, 20)}"
        remount(disk, draw.choice(small))
        try:
            apply_plan(plan, wanted)
        except (IncompleteError, PlanError):
            assert not {path.name for path in disk.iterdir()} & set(whole)
            remount(disk, "size=64m,nr_inodes=10000")
            apply_plan(plan, wanted)
        assert packed_content(disk, mode) == whole
        trials.count()


@pytest.mark.torture(row=3)
@pytest.mark.timeout(3600)
def test_full_at_a_hundred_sizes(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: Trials) -> None:
    """At any size, in bytes or inodes: the right exit code, and the resume makes the tree of an undisturbed run."""
    plan, draw = plan_on(disk, tmp_path), trials.draw
    before = tree_state(tmp_path / "in")
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))
    modes: tuple[Mode, ...] = ("copy", "symlink")
    whole = {}
    for mode in modes:
        apply_plan(plan, ApplyOptions(mode=mode))
        whole[mode] = tree_content(disk / "set")
        shutil.rmtree(disk / "set")
    for _ in range(100):
        mode = draw.choice(modes)
        small = f"size={4 * draw.randint(4, 120)}k,nr_inodes=10000", f"size=64m,nr_inodes={draw.randint(4, 190)}"
        remount(disk, draw.choice(small))
        wanted = ApplyOptions(mode=mode)
        try:
            apply_plan(plan, wanted)
        except (IncompleteError, PlanError):
            assert not (disk / "set").exists()
            remount(disk, "size=64m,nr_inodes=10000")
            apply_plan(plan, wanted)
        assert tree_content(disk / "set") == whole[mode]
        assert [path.name for path in disk.iterdir()] == ["set"]
        assert tree_state(tmp_path / "in") == before
        trials.count()
        shutil.rmtree(disk / "set")
