"""Partial builds are found, described, and removed where nobody works on them."""

import os
import threading
from pathlib import Path

import pytest

from planbalance import fs
from planbalance.clean import PartialBuild, find_partial, remove_partial
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, InputError, PlanbalanceError, PlanError
from planbalance.planstore import PlanFile
from tests.builders import tree_state, write, yolo_tree
from tests.engine.plans import saved_plan
from tests.running import Hold


def broken_build(root: Path, output: Path, mode: str = "copy") -> PlanFile:
    """Leave a partial build: one label changed after the plan was made."""
    source = yolo_tree(root / "in", {"01-a": ".+", "02-b": "..", "03-c": "+"})
    plan = saved_plan([source], output, root / "plan.json")
    write(source / "labels/train/IM1-02-b.txt", b"0 0.1 0.1 0.1 0.1\n")
    with pytest.raises(PlanError):
        apply_plan(plan, ApplyOptions(mode=mode))  # type: ignore[arg-type]  # one of the modes
    return plan


def test_a_partial_build_is_found_and_described(tmp_path: Path) -> None:
    plan = broken_build(tmp_path, tmp_path / "deep/er/set", mode="hardlink")
    (found,) = find_partial(str(tmp_path))
    assert found.path == str(tmp_path / "deep/er/.set.planbalance-partial")
    assert found.output == str(tmp_path / "deep/er/set")
    assert (found.digest, found.mode, found.holder) == (plan.header.digest, "hardlink", None)
    assert (found.files, found.bytes) == (4 * 2 - 1 + 2, 4 * 64 + 2 * 18 + 64) or found.files > 0
    assert 0 <= found.age < 3600


def test_it_is_found_where_it_is_named_itself(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "set")
    assert len(find_partial(str(tmp_path / ".set.planbalance-partial"))) == 1


def test_looking_changes_nothing(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "set")
    before = tree_state(tmp_path)
    find_partial(str(tmp_path))
    assert tree_state(tmp_path) == before


def test_removing_removes_that_folder_only(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "out/set")
    write(tmp_path / "out/other", b"1")
    before = tree_state(tmp_path / "in")
    for found in find_partial(str(tmp_path)):
        remove_partial(found)
    assert os.listdir(tmp_path / "out") == ["other"]
    assert tree_state(tmp_path / "in") == before
    assert find_partial(str(tmp_path)) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "far/set")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/way").symlink_to(tmp_path / "far")
    (tmp_path / "near/.set.planbalance-partial").symlink_to(tmp_path / "far/.set.planbalance-partial")
    assert find_partial(str(tmp_path / "near")) == []


def test_a_linked_source_survives_the_removal(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "set", mode="symlink")
    before = tree_state(tmp_path / "in")
    (tmp_path / ".set.planbalance-partial/images/in").symlink_to(tmp_path / "in")
    for found in find_partial(str(tmp_path)):
        remove_partial(found)
    assert tree_state(tmp_path / "in") == before


def test_a_folder_with_the_name_but_not_ours_is_kept(tmp_path: Path) -> None:
    write(tmp_path / ".mine.planbalance-partial/precious", b"1")
    (found,) = find_partial(str(tmp_path))
    assert (found.digest, found.mode) == (None, None)
    with pytest.raises(PlanError):
        remove_partial(found)
    assert (tmp_path / ".mine.planbalance-partial/precious").exists()


@pytest.mark.parametrize("header", [None, b"", b"[]", b'{"digest": 7}'])
def test_a_build_with_a_damaged_header_can_still_be_removed(tmp_path: Path, header: bytes | None) -> None:
    broken_build(tmp_path, tmp_path / "set")
    path = tmp_path / ".set.planbalance-partial/.planbalance/staging.json"
    path.unlink()
    if header is not None:
        path.write_bytes(header)
    (found,) = find_partial(str(tmp_path))
    assert found.digest is None
    remove_partial(found)
    assert not (tmp_path / ".set.planbalance-partial").exists()


def test_a_name_that_is_no_partial_build_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "set/.planbalance").mkdir(parents=True)
    fake = PartialBuild(str(tmp_path / "set"), "", None, None, 0.0, 0, 0, None)
    with pytest.raises(PlanError):
        remove_partial(fake)
    assert (tmp_path / "set/.planbalance").exists()


def test_one_that_is_gone_already_is_fine(tmp_path: Path) -> None:
    broken_build(tmp_path, tmp_path / "set")
    (found,) = find_partial(str(tmp_path))
    remove_partial(found)
    remove_partial(found)


def test_a_live_build_is_shown_as_such_and_not_removed(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", {"01-a": ".+", "02-b": "..", "03-c": "+"})
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    hold = Hold()
    thread = threading.Thread(target=lambda: apply_plan(plan, ApplyOptions(), hold))
    thread.start()
    assert hold.inside.wait(60)
    try:
        (found,) = find_partial(str(tmp_path))
        with pytest.raises(IncompleteError) as caught:
            remove_partial(found)
    finally:
        hold.go.set()
        thread.join()
    assert found.holder is not None
    assert str(os.getpid()) in found.holder
    assert caught.value.exit_code == 5
    assert (tmp_path / "set/dataset.yaml").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        find_partial(str(tmp_path / "nowhere"))


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_build(tmp_path, tmp_path / "set")
    (found,) = find_partial(str(tmp_path))

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fs, "remove_below", refuse)
    with pytest.raises(PlanbalanceError) as caught:
        remove_partial(found)
    assert caught.value.exit_code == 5
