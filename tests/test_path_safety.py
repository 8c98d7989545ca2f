"""What would be written into an input is refused, whatever name it is reached by."""

import os
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs
from planbalance.errors import UsageError
from planbalance.path_safety import refuse_files, refuse_output

PLACES = [  # input, output, what is said; below a folder that holds data/in, and link -> data/in
    ("data/in", "data/in", "equal to"),
    ("data/in", "link", "equal to"),
    ("link", "data/in", "equal to"),
    ("data/in", "data/in/a/b", "inside"),
    ("data/in", "link/a/b", "inside"),
    ("link", "data/in/images/train", "inside"),
    ("data/in", "data", "around"),
    ("link", "data", "around"),
    ("data/in", "data/in2", None),
    ("data/in", "data/i", None),
    ("link", "link2", None),
]


@pytest.mark.parametrize(("source", "output", "relation"), PLACES)
def test_outputs_that_would_touch_an_input(tmp_path: Path, source: str, output: str, relation: str | None) -> None:
    (tmp_path / "data/in/images/train").mkdir(parents=True)
    (tmp_path / "link").symlink_to("data/in")
    places = [str(tmp_path / source)]
    if relation is None:
        refuse_output(str(tmp_path / output), places)
    else:
        with pytest.raises(UsageError, match=f"is {relation} the input"):
            refuse_output(str(tmp_path / output), places)


def test_a_second_name_of_an_input_folder_is_found_by_device_and_inode(tmp_path: Path) -> None:
    """A bind mount has another path, and no link tells of it: stood in for by a stat that says so."""
    (tmp_path / "in").mkdir()
    (tmp_path / "mounted").mkdir()
    real = os.stat

    def bound(path: Any, *rest: Any, **more: Any) -> os.stat_result:
        return real(tmp_path / "in" if str(path) == str(tmp_path / "mounted") else path, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("planbalance.fs.os.stat", bound)
        with pytest.raises(UsageError, match="inside"):
            refuse_output(str(tmp_path / "mounted/out"), [str(tmp_path / "in")])


def test_files_in_an_input_are_refused_by_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    folders = [str(tmp_path / "in")]
    refuse_files({"plan file": str(tmp_path / "plan.json")}, folders)
    for place in ("in/plan.json", "link/plan.json", "in/new/plan.json"):
        with pytest.raises(UsageError, match=f"The plan file {tmp_path / place} is inside the input"):
            refuse_files({"plan file": str(tmp_path / place)}, folders)


def test_no_path_is_looked_at_twice_for_one_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a remote file system each look is a round trip."""
    looked: list[str] = []
    identity = fs.identity

    def counted(path: str) -> tuple[int, int] | None:
        looked.append(path)
        return identity(path)

    monkeypatch.setattr("planbalance.fs.identity", counted)
    for name in ("in/images", "in/labels"):
        (tmp_path / name).mkdir(parents=True)
    inputs = [f"{tmp_path}/{name}" for name in ("in", "in/images", "in/labels")]
    refuse_output(str(tmp_path / "out"), inputs)
    assert len(looked) == len(set(looked))
