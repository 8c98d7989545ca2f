"""What the splits hold, for the texts and pages of an audit: slices, positives, boxes of classes, values of --stratify.

The targets of a plan are as untrusted as the rest of it: a row that they do not describe in full is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.model import SPLITS, Audit
from planbalance.render.plan_classes import planned_boxes
from planbalance.render.table import Grid, Renderable, count, heading, indented, line, share
from planbalance.text import counted

_SHOWN: Final = 12  # rows of a table; --verbose has all
_NONE: Final = "none"


class StratifiedValue(NamedTuple):
    """How the patients (or volumes) with one value of a `--stratify` column are divided over the splits.

    Attributes:
        column: of the group map.
        value: in that column.
        wanted: how many are wanted in train, val and test.
        reached: how many there are.
        deviation: how far the share is from the ratio in the worst split, in percentage points, as the plan has it.
    """

    column: str
    value: str
    wanted: tuple[int, ...]
    reached: tuple[int, ...]
    deviation: str

    @property
    def exact(self) -> bool:
        """Whether every split has the wanted number."""
        return self.wanted == self.reached


def stratified_values(targets: Mapping[str, Any]) -> list[StratifiedValue]:
    """Return the result of `--stratify`; nothing where it was not given."""
    columns = targets.get("stratify")
    found = []
    for column, rows in columns.items() if isinstance(columns, Mapping) else ():
        for row in rows if isinstance(rows, list | tuple) else ():
            one = _stratified(str(column), row)
            if one is not None:
                found.append(one)
    return found


def _stratified(column: str, row: object) -> StratifiedValue | None:
    if not isinstance(row, Mapping):
        return None
    counts = [row.get(split) for split in SPLITS]
    numbers = [[one.get(key) for one in counts if isinstance(one, Mapping)] for key in ("wanted", "reached")]
    wanted, reached = (tuple(number for number in row if type(number) is int) for row in numbers)
    if not len(wanted) == len(reached) == len(SPLITS):
        return None
    return StratifiedValue(column, str(row.get("value")), wanted, reached, str(row.get("deviation")))


def stratified_sentence(values: Sequence[StratifiedValue], noun: str) -> str:
    """Return how many values have the wanted number of `noun` in every split."""
    exact = sum(one.exact for one in values)
    if exact == len(values):
        return f"Every value has the wanted number of {noun}s in every split."
    verb = "has" if exact == 1 else "have"
    return f"{exact:,} of {counted(len(values), 'value')} {verb} the wanted number of {noun}s in every split."


# ---- of an audit ----------------------------------------------------------------------------------------------------


def shares_document(audit: Audit) -> dict[str, Any]:
    """Return what the splits hold as JSON values: `splits`, `classes` and `stratify`; each is empty where unknown."""
    planned = planned_boxes(audit.targets.get("classes"))
    read = [{"class": one.id, "name": one.name, **dict(zip(SPLITS, one.boxes, strict=True))} for one in audit.classes]
    classes = planned if audit.targets else read
    return {
        "splits": [one._asdict() for one in audit.counts],
        "classes": classes if len(classes) > 1 else [],
        "classes_from": "plan" if audit.targets else "labels",
        "stratify": [one._asdict() for one in stratified_values(audit.targets)],
    }


def shares_text(document: Mapping[str, Any], *, verbose: bool = False) -> Iterable[Renderable]:
    """Yield what the splits hold: slices and positives of each; boxes of each class; values of `--stratify`."""
    splits = document["splits"]
    if splits:
        yield heading("Splits")
        yield _splits(splits)
        if any(one["positives"] is None for one in splits):
            yield indented("Labels were not read: positive slices are not counted.")
    if document["classes"]:
        before = " (planned, before undersampling)" if document["classes_from"] == "plan" else ""
        yield heading(f"Boxes of each class{before}")
        yield from _rows(document["classes"], _class_row, "class", verbose=verbose)
    if document["stratify"]:
        noun = "patient" if document["unit"] == "patient" else "volume"
        yield heading(f"Values of --stratify: {noun}s in each split (wanted)")
        yield from _rows(document["stratify"], _value_row, "", verbose=verbose)


def _splits(splits: Sequence[Mapping[str, Any]]) -> Grid:
    grid = Grid(["", "slices", "positive", "share"])
    for one in splits:
        if one["positives"] is None:
            grid.add(one["split"], count(one["slices"]), "", "")
        else:
            grid.add(
                one["split"], count(one["slices"]), count(one["positives"]), share(one["positives"], one["slices"])
            )
    return grid


def _rows(rows: Sequence[Mapping[str, Any]], cells: Any, title: str, *, verbose: bool) -> Iterable[Renderable]:  # noqa: ANN401 - a function of a row
    grid = Grid([title, *SPLITS], styles={_NONE: "bold red"})
    shown = rows if verbose else rows[:_SHOWN]
    for row in shown:
        grid.add(*cells(row))
    yield grid
    if len(rows) > len(shown):
        yield line(f"  and {count(len(rows) - len(shown))} more (--verbose lists all)")


def _class_row(row: Mapping[str, Any]) -> Iterable[str]:
    whole = sum(row[split] for split in SPLITS)
    yield str(row["name"] or row["class"])
    yield from (f"{count(row[split])} ({share(row[split], whole)})" if row[split] else _NONE for split in SPLITS)


def _value_row(row: Mapping[str, Any]) -> Iterable[str]:
    yield f"{row['column']} {row['value']}"
    for wanted, reached in zip(row["wanted"], row["reached"], strict=True):
        yield count(reached) if wanted == reached else f"{count(reached)} ({count(wanted)})"
