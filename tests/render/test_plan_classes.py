"""Targets of classes: told in full or left out, whatever a plan holds; and how near classes are to the ratios."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from planbalance.render.plan_classes import class_targets, nearness


def part(wanted: int, reached: int) -> dict[str, int]:
    return {"wanted": wanted, "reached": reached, "distance": abs(wanted - reached)}


def groups(least: int, most: int, reached: int) -> dict[str, int]:
    return part(most, reached) | {"least": least, "most": most}


def row(class_id: int = 0, name: str | None = "mass", **changes: Any) -> dict[str, Any]:
    return {
        "class": class_id,
        "name": name,
        "train": part(70, 71),
        "val": part(15, 15),
        "test": part(15, 14),
        "deviation": "1",
        "groups": {"train": groups(7, 7, 7), "val": groups(1, 2, 1), "test": groups(1, 2, 2)},
        "floor": "0.25",
        "proven": False,
    } | changes


def test_a_class_is_read_with_what_is_wanted_and_reached() -> None:
    (one,) = class_targets({"classes": [row()]})
    assert one.boxes == ((70, 71), (15, 15), (15, 14))
    assert one.groups == ((7, 7, 7), (1, 2, 1), (1, 2, 2))
    assert (one.called, one.deviation, one.floor, one.gap) == ("mass", Decimal(1), Decimal("0.25"), Decimal("0.75"))
    (unnamed,) = class_targets({"classes": [row(3, None, proven=True)]})
    assert (unnamed.called, unnamed.gap) == ("class 3", Decimal(0))


def test_a_class_below_its_floor_has_no_gap() -> None:
    """A floor is of splits that keep the wanted numbers of volumes; a split that does not may be nearer."""
    (one,) = class_targets({"classes": [row(deviation="0.1", floor="0.25")]})
    assert one.gap == 0


@pytest.mark.parametrize("targets", [{}, {"classes": None}, {"classes": "all"}, {"classes": [None, 3, [], {}]}])
def test_plans_without_targets_of_classes_have_none(targets: dict[str, Any]) -> None:
    assert class_targets(targets) == []


@pytest.mark.parametrize("key", [key for key in row() if key not in {"name", "proven"}])
@pytest.mark.parametrize("value", [None, [], "x", float("nan"), True, {"wanted": "7", "reached": 7}])
def test_what_is_not_described_in_full_is_left_out(key: str, value: object) -> None:
    changed: dict[str, Any] = {key: value}
    assert class_targets({"classes": [row(**changed), row(1)]}) == class_targets({"classes": [row(1)]})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999", "-200", ""])
def test_points_that_are_no_share_are_left_out(text: str) -> None:
    assert class_targets({"classes": [row(floor=text)]}) == []


def test_a_split_that_is_missing_leaves_the_class_out() -> None:
    broken = deepcopy(row())
    del broken["groups"]["val"]
    assert class_targets({"classes": [broken]}) == []


def test_how_near_the_classes_are_is_one_sentence() -> None:
    sure, other = row(proven=True), row(1, "cyst")
    assert nearness(class_targets({"classes": [sure]}), "patient") == (
        "For all 1 class, no split with the wanted numbers of patients has the boxes nearer to the ratios (proven)."
    )
    assert nearness(class_targets({"classes": [sure, other, row(2, "scar", deviation="0.5")]}), "volume") == (
        "For 1 of 3 classes, no split with the wanted numbers of volumes has the boxes nearer to the ratios (proven). "
        "For the others, a split may be nearer by at most 0.750 points (cyst)."
    )
