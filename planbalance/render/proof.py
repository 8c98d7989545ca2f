"""How near a split is proven to be to the best one: what `plan --prove` adds to what it prints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

from planbalance.render.plan_classes import CLASSES_SHOWN, more_classes, name_of
from planbalance.render.table import Grid, Renderable, heading, prose
from planbalance.split.prove import SplitProof

_LEVELS: Final = {
    "slices": "slices off their targets",
    "positive_slices": "positive slices among them",
    "quotas": "groups off their quotas",
    "missing": "classes and traits missing in a split",
    "outside": "groups with a class or trait, too many or too few in a split",
    "worst_boxes": "worst deviation of the boxes of a class, in points",
    "all_boxes": "deviations of all classes in all splits added up, in points",
}
_IN_POINTS: Final = {"worst_boxes", "all_boxes"}


def proof_document(proof: SplitProof, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the proof as JSON values; percentage points are decimal texts, as in the plan's targets."""
    return {
        "seconds": proof.seconds,
        "solver": proof.solver,
        "better_found": proof.better_found,
        "taken": proof.taken,
        "levels": [
            {
                "level": level.name,
                "before": _number(level.name, level.reached),
                **_proven(level.name, level.found if proof.taken else level.reached, level.bound),
                "found": _number(level.name, level.found),
            }
            for level in proof.levels
        ],
        "not_reached": list(proof.not_reached),
        "classes": [
            {
                "class": one.class_id,
                "name": name_of(names, one.class_id),
                **_proven("worst_boxes", one.found if proof.taken else one.reached, one.bound),
            }
            for one in proof.classes
        ],
    }


def _proven(level: str, reached: Fraction, bound: Fraction) -> dict[str, Any]:
    proven = bound >= reached
    return {
        "reached": _number(level, reached),
        "bound": _number(level, reached) if proven else _number(level, bound, floor),
        "gap": _number(level, max(Fraction(0), reached - bound)),
        "proven": proven,
    }


def _number(level: str, value: Fraction, rounded: Callable[[Fraction], int] = ceil) -> int | str:
    """Return slices or groups as a number, points as a text with three places; a bound is rounded down, the rest up."""
    return f"{Decimal(rounded(value * 1000)).scaleb(-3):.3f}" if level in _IN_POINTS else int(value)


def proof_text(proof: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield what was proven, level by level, and of each class."""
    yield heading(f"How near the best split this one is ({proof['solver']}, at most {proof['seconds']} s)")
    grid = Grid(["", "reached", "bound", "gap"], styles={"proven": "green"})
    for level in proof["levels"]:
        grid.add(_LEVELS[level["level"]], *_cells(level))
    for name in proof["not_reached"]:
        grid.add(_LEVELS[name], "", "", "not looked at")
    yield grid
    yield prose("  Proven: no split that is as good in all lines above this one has a smaller number here.")
    if proof["taken"]:
        yield prose(
            "  The plan has the split that the proof found. The seed alone does not give it again, so keep the plan."
        )
    elif proof["better_found"]:
        better = proof["levels"][-1]
        yield prose(
            f"  The proof found a better split: {better['found']} in place of {better['before']} "
            f"{_LEVELS[better['level']]}. Add --prove-split to take it."
        )
    rows = proof["classes"]
    if rows:
        yield heading("Worst deviation of the boxes of each class, in points")
        grid = Grid(["class", "reached", "bound", "gap"], styles={"proven": "green"})
        for row in rows[:CLASSES_SHOWN]:
            grid.add(row["name"] or row["class"], *_cells(row))
        yield grid
        yield from more_classes(rows)
        yield prose("  Proven: no split that keeps the quotas is better for this class.")


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{row['reached']}", f"{row['bound']}", "proven" if row["proven"] else f"{row['gap']}"
