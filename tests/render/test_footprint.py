"""What a plan says of the disk, compared with what apply then writes."""

import os
from pathlib import Path

import pytest

from planbalance import api
from planbalance.render.footprint import Footprint, footprint
from tests.builders import mixed_volumes, yolo_tree


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink", "list"])
def test_the_footprint_is_what_apply_leaves(tmp_path: Path, mode: str) -> None:
    letters = mixed_volumes(5, 11, smallest=3, largest=7)
    yolo_tree(tmp_path / "one", letters)
    yolo_tree(tmp_path / "zwei ä", {f"x{volume}": word for volume, word in letters.items()})
    planned = api.plan([str(tmp_path / "one"), str(tmp_path / "zwei ä")], output=str(tmp_path / "out"),
                       plan_file=str(tmp_path / "plan.json"))  # fmt: skip
    api.apply(planned.path, mode=mode)
    assert footprint(planned.header, planned.plan.operations())[mode] == found(tmp_path / "out", mode)


def found(output: Path, mode: str) -> Footprint:
    """Count names, bytes of new files, and new inodes below images and labels, or the lists."""
    if mode == "list":
        lists = [output / f"{split}.txt" for split in ("train", "val", "test")]
        return Footprint(3, sum(path.stat().st_size for path in lists), 3)
    names = folders = written = shared = 0
    for top in ("images", "labels"):
        for folder, _, files in os.walk(output / top):
            folders += 1
            for name in files:
                facts = os.lstat(f"{folder}/{name}")
                names += 1
                shared += facts.st_nlink > 1
                written += facts.st_size if facts.st_nlink == 1 and not os.path.islink(f"{folder}/{name}") else 0
    return Footprint(names, written, names - shared + folders)


def test_a_layout_of_its_own_has_no_lists(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "in", mixed_volumes(5, 11, smallest=3, largest=7))
    planned = api.plan(str(tmp_path / "in"), output=str(tmp_path / "out"), layout="by-volume",
                       plan_file=str(tmp_path / "plan.json"))  # fmt: skip
    assert "list" not in footprint(planned.header, planned.plan.operations())
