"""What a plan says of classes: boxes, slices and patients of each by split, and what val and test can tell of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import SPLITS, ClassCount, PlanHeader, Split
from planbalance.render.table import Grid, Renderable, count, heading, indented, line
from planbalance.sensitivity import CONFIDENCE, MEASURED, WITHIN, interval, needed_sentence, patients_needed, sentence
from planbalance.text import counted

_CLASSES_SHOWN: Final = 40
_NO_BOX: Final = "none"
MEASURED_ON: Final[tuple[Split, ...]] = ("val", "test")


def class_rows(names: Sequence[str] | None, classes: Iterable[ClassCount]) -> list[dict[str, Any]]:
    """Return what the splits hold of each class, as JSON values."""
    return [
        {
            "class": one.id,
            "name": names[one.id] if names is not None and one.id < len(names) else None,
            **{
                split: {"boxes": one.boxes[index], "slices": one.slices[index], "units": one.units[index]}
                for index, split in enumerate(SPLITS)
            },
        }
        for one in classes
    ]


def classes_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield the table of classes by split, where there are several."""
    rows: Sequence[Mapping[str, Any]] = document["classes"]
    if rows:
        title = f"Classes in the final splits (boxes / slices / {document['unit']}s with the class)"
        cells = {split: _aligned([[*row[split].values()] for row in rows]) for split in SPLITS}
    else:
        rows = _planned_boxes(document["targets"].get("classes"))
        if len(rows) < 2:
            return
        title = "Boxes of each class, before undersampling"
        cells = {split: [count(row[split]) if row[split] else _NO_BOX for row in rows] for split in SPLITS}
    yield heading(title)
    grid = Grid(["class", *SPLITS], styles={_NO_BOX: "bold red"})
    for index, row in enumerate(rows[:_CLASSES_SHOWN]):
        grid.add(row["name"] or row["class"], *(cells[split][index] for split in SPLITS))
    yield grid
    if len(rows) > _CLASSES_SHOWN:
        yield line(f"  and {count(len(rows) - _CLASSES_SHOWN)} more (--json lists all)")


def _planned_boxes(found: object) -> list[dict[str, Any]]:
    """Return the boxes of each class by split from the targets of a plan file, which may lack them."""
    rows = []
    for row in found if isinstance(found, list) else ():
        shares = [row.get(split) for split in SPLITS] if isinstance(row, dict) else []
        numbers = [share.get("reached") for share in shares if isinstance(share, dict)]
        if len(numbers) == len(SPLITS) and all(type(number) is int for number in numbers):
            name = {"class": row.get("class"), "name": row.get("name")}
            rows.append(name | dict(zip(SPLITS, numbers, strict=True)))
    return rows


def _aligned(rows: Sequence[Sequence[int]]) -> list[str]:
    """Return each row of numbers as a text, with the numbers of all rows below each other."""
    texts = [list(map(count, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        " / ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) if numbers[0] else _NO_BOX
        for row, numbers in zip(texts, rows, strict=True)
    ]


# ---- what val and test can tell -------------------------------------------------------------------------------------


def sensitivity_document(header: PlanHeader, rows: Iterable[Mapping[str, Any]], noun: str) -> dict[str, Any]:
    """Return how far off a sensitivity may be that is measured on val and on test, and on each class there.

    Args:
        header: the plan's, or of a dataset as it was found.
        rows: of `class_rows`, or others with `class`, `name` and the `units` of each split.
        noun: what is counted, such as `patient`.
    """
    positive = {(volume.split, volume.group) for volume in header.volumes if volume.positives}
    units = Counter(split for split, _ in positive)
    return {
        "measured": MEASURED,
        "confidence": CONFIDENCE,
        "within": WITHIN,
        "needed": patients_needed(),
        "unit": noun,
        **{split: _measured_on(units[split]) for split in MEASURED_ON},
        "classes": [
            {"class": row["class"], "name": row["name"]}
            | {split: _measured_on(row[split]["units"]) for split in MEASURED_ON}
            for row in rows
        ],
    }


def _measured_on(units: int) -> dict[str, Any]:
    found = interval(units)
    ends = (None, None, None) if found is None else (round(found.lower, 1), round(found.upper, 1), found.off)
    return {"units": units, **dict(zip(("lower", "upper", "off"), ends, strict=True))}


def sensitivity_text(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    """Yield what val and test can tell, and where that is asked for, of each class."""
    told, volumes = document["sensitivity"], document["volume_statistics"]
    filled = [split for split in MEASURED_ON if volumes[f"{split}_volumes"]]
    if not filled:
        return
    yield heading(f"What {' and '.join(filled)} can tell")
    for split in filled:
        yield indented(sentence(split, told[split]["units"], told["unit"]))
    if any(told[split]["units"] < told["needed"] for split in filled):
        yield indented(needed_sentence(told["unit"]))
    if verbose and told["classes"]:
        columns = [f"{split} {column}" for split in filled for column in (f"{told['unit']}s", "off by")]
        yield heading(f"What can be told of each class (off by up to so much at {MEASURED} %, {CONFIDENCE} %)")
        grid = Grid(["class", *columns], styles={_NO_BOX: "bold red"})
        for row in told["classes"]:
            grid.add(row["name"] or row["class"], *(cell for split in filled for cell in _off_cells(row[split])))
        yield grid


def _off_cells(measured: Mapping[str, Any]) -> tuple[str, str]:
    if not measured["units"]:
        return _NO_BOX, "-"
    return count(measured["units"]), counted(measured["off"], "point")
