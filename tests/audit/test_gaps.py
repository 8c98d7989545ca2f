"""A split that holds no slice, or no positive one, is never ok without a word."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from planbalance.audit import VerifyOptions, verify
from planbalance.model import Audit
from tests.audit.built import built
from tests.builders import yolo_tree

THIRDS = {f"v{number}": "+." for number in range(9)}


def problems(audit: Audit, name: str) -> list[tuple[str, str]]:
    check = next(check for check in audit.checks if check.name == name)
    assert check.ok is True
    return [(problem.severity, problem.message) for problem in check.problems if problem.kind == "counts"]


def found(audit: Audit) -> tuple[bool, tuple[str, ...]]:
    return audit.ok, audit.warnings


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("splits", "clause"),
    [
        ({"v0": "train", "v1": "train", "v2": "test", "v3": "test"}, "val holds no slice"),
        ({"v0": "train", "v1": "train", "v2": "test", "v3": "test", "v4": "val"}, "val holds no positive slice"),
    ],
)
def test_of_a_plan(tmp_path: Path, splits: Any, clause: str, quick: bool) -> None:
    volumes = {volume: "..." if volume == "v4" else "+.." for volume in splits}
    made = built(tmp_path, volumes=volumes, split_map=splits)
    audit = made.audit(quick=quick)
    sentence = f"{clause}: no detector can be measured on it."
    assert found(audit) == (True, (sentence,))
    assert problems(audit, "counts") == [("warning", sentence)]
    assert f"; {clause}; not checked: " in audit.summary


def test_of_a_plan_that_wants_no_test_split(tmp_path: Path) -> None:
    ratios: dict[str, Any] = {"train_ratio": Decimal("0.7"), "val_ratio": Decimal("0.3"), "test_ratio": Decimal(0)}
    made = built(tmp_path, volumes=THIRDS, **ratios)
    assert found(made.audit()) == (True, ())


@pytest.mark.parametrize("quick", [False, True])
def test_of_any_dataset(tmp_path: Path, quick: bool) -> None:
    source = yolo_tree(tmp_path / "in", THIRDS, names=None)
    yolo_tree(source, {"w1": "..", "w2": ".."}, images="images/test", names=None)
    (source / "images/val").mkdir()
    audit = verify(str(source), VerifyOptions(quick=quick))
    warnings = ["val holds no slice: no detector can be measured on it."]
    if not quick:  # else no label was read
        warnings.append("test holds no positive slice: no detector can be measured on it.")
    assert found(audit) == (True, tuple(warnings))
    assert sorted(problems(audit, "trainers")) == sorted(("warning", warning) for warning in warnings)
    assert "val holds no slice; " in audit.summary


def test_a_split_that_no_folder_is_there_for_is_not_missed(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", THIRDS, names=None)
    yolo_tree(source, {"w1": "+.", "w2": ".."}, images="images/val", names=None)
    assert found(verify(str(source), VerifyOptions())) == (True, ())


def test_training_without_a_positive(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", {"v0": "..", "v1": "."}, names=None)
    yolo_tree(source, {"w1": "+.", "w2": ".."}, images="images/val", names=None)
    audit = verify(str(source), VerifyOptions())
    assert audit.warnings == ("train holds no positive slice: no detector can be trained with it.",)
