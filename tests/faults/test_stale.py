"""A source that is not what was planned: found at the moment it is used, listed, never published."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import PlanError
from tests.builders import write, yolo_tree
from tests.engine.plans import saved_plan
from tests.faults.scene import ALL, VOLUMES, Scene

IMAGE = "images/train/IM1-02-b.png"
LABEL = "labels/train/IM2-01-a.txt"
EMPTY = "labels/train/IM1-02-b.txt"
MISSING = "labels/train/IM3-02-b.txt"


def gone(path: Path) -> None:
    path.unlink()


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def shrunk(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def rewritten(path: Path) -> None:
    """Same size, a new time."""
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(0, 1))


def rewritten_and_backdated(path: Path) -> None:
    """Same size, the old time."""
    time = path.stat().st_mtime_ns
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    os.utime(path, ns=(time, time))


def filled(path: Path) -> None:
    write(path, b"0 0.5 0.5 0.2 0.2\n")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def a_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def folder_gone(path: Path) -> None:
    path.parent.rename(path.parent.parent / "renamed")


CASES = [
    (IMAGE, gone),
    (IMAGE, grown),
    (IMAGE, shrunk),
    (IMAGE, rewritten),
    (IMAGE, emptied),
    (IMAGE, a_pipe),
    (IMAGE, a_folder),
    (IMAGE, folder_gone),
    (LABEL, gone),
    (LABEL, grown),
    (LABEL, shrunk),
    (LABEL, rewritten),
    (LABEL, rewritten_and_backdated),
    (LABEL, emptied),
    (LABEL, a_pipe),
    (LABEL, folder_gone),
    (EMPTY, gone),
    (EMPTY, filled),
    (EMPTY, a_pipe),
    (MISSING, filled),
    (MISSING, a_pipe),
]


def stale_error(scene: Scene, **options: object) -> PlanError:
    with pytest.raises(PlanError) as caught:
        apply_plan(scene.plan(), ApplyOptions(**options))  # type: ignore[arg-type]  # parametrized
    assert (caught.value.exit_code, caught.value.kind) == (4, "plan-stale")
    return caught.value


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize(("path", "change"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_change_is_found_and_named(tmp_path: Path, mode: str, path: str, change: Callable[[Path], None]) -> None:
    scene = Scene(tmp_path)
    change(scene.source / path)
    error = stale_error(scene, mode=mode)
    named = {os.path.relpath(each, scene.source) for each in error.paths}
    if (path, change) == (IMAGE, folder_gone):  # it held every image of the input
        assert named == {"."}
        assert "a whole input is gone" in error.message
        return
    assert path in named or (path == MISSING and IMAGE.replace("IM1", "IM3") in named)
    if change is not folder_gone:
        assert len(named) == 1
        assert "1 source file is not what was planned" in error.message
    options = ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    assert not scene.is_there(options)
    assert Path(fs.partial_path(str(scene.output_of(options)))).is_dir(), "what was built so far is kept"


@pytest.mark.parametrize("mode", ALL)
def test_all_changes_are_listed_at_once(tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path)
    changed = [IMAGE, LABEL, "images/train/IM1-03-c.png", "images/train/IM1-01-a.png"]
    for path in changed:
        grown(scene.source / path)
    error = stale_error(scene, mode=mode)
    assert sorted(os.path.relpath(path, scene.source) for path in error.paths) == sorted(changed)
    assert "4 source files are not what was planned" in error.message


@pytest.mark.parametrize("mode", ALL)
def test_it_resumes_once_the_source_is_restored(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    scene.undisturbed(options)
    label = scene.source / LABEL
    data, time = label.read_bytes(), label.stat().st_mtime_ns
    grown(label)
    stale_error(scene, mode=mode)
    label.write_bytes(data)
    os.utime(label, ns=(time, time))
    scene.check_resumed(options)


def hashed(scene: Scene) -> None:
    saved_plan([scene.source], scene.output, scene.root / "plan.json", hash_images=True)


def test_an_image_changed_behind_its_time_is_found_while_copying_where_the_plan_holds_its_sum(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    hashed(scene)
    rewritten_and_backdated(scene.source / IMAGE)
    for checksum in ("sha256", "none"):
        error = stale_error(scene, checksum=checksum, restart=True)
        assert error.paths == (f"{scene.source}/{IMAGE}",)


@pytest.mark.parametrize("mode", ALL)
def test_an_image_touched_but_not_changed_passes_where_the_plan_holds_its_sum(tmp_path: Path, mode: str) -> None:
    scene, options = Scene(tmp_path), ApplyOptions(mode=mode)  # type: ignore[arg-type]  # parametrized
    hashed(scene)
    scene.expected.clear()
    os.utime(scene.source / IMAGE, ns=(5, 5))
    assert apply_plan(scene.plan(), options).published


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
def test_an_image_rewritten_under_a_link_mode_is_found_where_the_plan_holds_its_sum(tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path)
    hashed(scene)
    rewritten(scene.source / IMAGE)
    assert stale_error(scene, mode=mode).paths == (f"{scene.source}/{IMAGE}",)


@pytest.mark.parametrize("mode", ALL)
def test_a_change_between_an_interrupted_run_and_its_resume(tmp_path: Path, mode: str) -> None:
    source = yolo_tree(tmp_path / "in", VOLUMES)
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    label = source / LABEL
    data = label.read_bytes()
    grown(label)
    with pytest.raises(PlanError):
        apply_plan(plan, ApplyOptions(mode=mode))  # type: ignore[arg-type]  # parametrized
    label.write_bytes(data)
    rewritten(source / "images/train/IM2-01-a.png")
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(mode=mode))  # type: ignore[arg-type]  # parametrized
    assert caught.value.paths == (f"{source}/images/train/IM2-01-a.png",)
