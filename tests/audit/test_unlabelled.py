"""Splits of which trainers find no label, while there are labels: never taken for a clean set of backgrounds."""

from pathlib import Path
from typing import Any

import pytest

from planbalance.audit import VerifyOptions, verify
from planbalance.model import Audit, Problem
from tests.builders import LABELS, image_bytes, write

YAML = b"train: images/train\nval: images/val\nnames: [tear]\n"


def knees(root: Path, *, labels: str, empty: bool = False, stem: str = "{}") -> Path:
    """Write train and val; `labels` is where the labels go, `{split}` filled in, all of the set or empty ones."""
    for split, volumes in (("train", (1, 2, 3)), ("val", (4, 5))):
        for volume in volumes:
            for number in (1, 2, 3):
                name = f"knee{volume}_{number:03d}"
                write(root / f"images/{split}/{name}.png", image_bytes(f"{volume}/{number}"))
                label = LABELS["+"] if number == 2 and not empty else b""
                write(root / labels.format(split=split) / f"{stem.format(name)}.txt", label)
    write(root / "data.yaml", YAML)
    return root


def said(root: Path, **options: Any) -> tuple[Audit, list[Problem]]:
    result = verify(str(root), VerifyOptions(**options))
    (check,) = (each for each in result.checks if each.name == "trainers")
    return result, [problem for problem in check.problems if "0 labelled images" in problem.message]


@pytest.mark.parametrize(
    ("labels", "where", "cause"),
    [
        ("images/{split}", "images/train", "lie here beside the images"),
        ("labels", "labels", "labels/train, which is not there"),
        ("annotations/{split}", "annotations/train", "labels/train, which is not there"),
        ("Labels/{split}", "Labels/train", "labels/train, which is not there"),
    ],
)
def test_labels_where_trainers_do_not_look(tmp_path: Path, labels: str, where: str, cause: str) -> None:
    result, problems = said(knees(tmp_path, labels=labels))
    assert not result.ok
    assert [(problem.kind, problem.severity) for problem in problems] == [("labels-elsewhere", "error")] * 2
    assert problems[0].path == f"{tmp_path}/{where}"
    assert "in train: 9 labels of its 9 images" in problems[0].message
    assert cause in problems[0].message
    assert "in val: 6 labels" in problems[1].message


def test_one_split_only(tmp_path: Path) -> None:
    root = knees(tmp_path, labels="labels/{split}")
    (root / "labels/val").rename(root / "labels/validation")
    result, (problem,) = said(root)
    assert not result.ok
    assert (problem.kind, problem.path) == ("labels-elsewhere", f"{root}/labels/validation")


def test_labels_of_other_names(tmp_path: Path) -> None:
    """One label a slice for the pictures of several sequences: no image has a label of its own name."""
    result, problems = said(knees(tmp_path, labels="labels/{split}", stem="label of {}"))
    assert not result.ok
    assert {problem.kind for problem in problems} == {"labels-elsewhere"}
    assert "such as label of knee1_001.txt" in problems[0].message


def test_backgrounds_are_no_fault(tmp_path: Path) -> None:
    result, problems = said(knees(tmp_path / "empty", labels="labels/{split}", empty=True))
    assert (result.ok, problems) == (True, [])
    root = knees(tmp_path / "set", labels="labels/{split}")
    for label in (root / "labels/val").iterdir():
        label.unlink()
    result, (problem,) = said(root)
    assert (result.ok, problem.kind, problem.severity) == (True, "no-labelled-image", "warning")
    assert "not one of its 6 images has a label file" in problem.message
    assert not said(root, quick=True)[1]


def test_a_set_without_splits(tmp_path: Path) -> None:
    """As labelImg saves it, without a yaml."""
    for number in range(1, 5):
        write(tmp_path / f"images/knee1_{number}.png", image_bytes(str(number)))
        write(tmp_path / f"images/knee1_{number}.txt", LABELS["+"])
    result, (problem,) = said(tmp_path)
    assert not result.ok
    assert "0 labelled images in the dataset: 4 labels of its 4 images lie here beside the images" in problem.message
