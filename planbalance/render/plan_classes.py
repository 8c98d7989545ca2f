"""What a plan says of classes: what the splits hold of each, how near that is to the ratios, and what it can tell.

The plan's targets are as untrusted as the rest of it: a class that they do not describe in full is left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from planbalance.model import SPLITS, ClassCount, PlanHeader, Split
from planbalance.render.naming import unit_noun
from planbalance.render.table import Grid, Renderable, aligned, count, heading, indented, line, share
from planbalance.sensitivity import CONFIDENCE, MEASURED, WITHIN, interval, needed_sentence, patients_needed, sentence
from planbalance.text import counted

CLASSES_SHOWN: Final = 40
CLASSES_AT_FIRST: Final = 8  # without --verbose
_NO_BOX: Final = "none"
MEASURED_ON: Final[tuple[Split, ...]] = ("val", "test")


def class_rows(names: Sequence[str] | None, classes: Iterable[ClassCount]) -> list[dict[str, Any]]:
    """Return what the splits hold of each class, as JSON values."""
    return [
        {
            "class": one.id,
            "name": name_of(names, one.id),
            **{
                split: {"boxes": one.boxes[index], "slices": one.slices[index], "units": one.units[index]}
                for index, split in enumerate(SPLITS)
            },
        }
        for one in classes
    ]


def name_of(names: Sequence[str] | None, class_id: int) -> str | None:
    """Return the name of a class, or None where it has none."""
    return names[class_id] if names is not None and class_id < len(names) else None


def classes_text(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    """Yield what the splits hold of each class where there are several: shares, or `verbose` numbers and targets."""
    if not verbose:
        yield from _shares(document)
        return
    yield from _held(document)
    targets = class_targets(document["targets"])
    if targets:
        yield indented(nearness(targets, unit_noun(document)))
        yield from _targets_text(targets, unit_noun(document))


def _shares(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield a table of which share of each class's boxes is in which split, with the units that have the class."""
    rows = [
        (
            row["name"] or row["class"],
            [row[split]["boxes"] for split in SPLITS],
            [row[split]["units"] for split in SPLITS],
        )
        for row in document["classes"]
    ] or [
        (one.called, [reached for _, reached in one.boxes], [reached for *_, reached in one.groups])
        for one in class_targets(document["targets"])
    ]
    if len(rows) < 2:
        return
    unit = unit_noun(document)
    yield heading(f"Classes (share of their boxes by split; {unit}s of train / val / test)")
    grid = Grid(["", "boxes", *SPLITS, f"{unit}s"], styles={_NO_BOX: "bold red"})
    units = aligned([list(map(count, counts)) for _, _, counts in rows])
    for (name, boxes, _), text in zip(rows[:CLASSES_AT_FIRST], units, strict=False):
        shares = (share(number, sum(boxes)) if number else _NO_BOX for number in boxes)
        grid.add(name, count(sum(boxes)), *shares, text)
    yield grid
    if len(rows) > CLASSES_AT_FIRST:
        yield line(f"  and {count(len(rows) - CLASSES_AT_FIRST)} more (--verbose)")


def stratify_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield how many volumes or patients with each value of the `--stratify` columns each split has."""
    columns = document["targets"].get("stratify")
    rows = []
    for column, values in columns.items() if isinstance(columns, Mapping) else ():
        for one in values if isinstance(values, list | tuple) else ():
            counts = _counts(one, "wanted", "reached") if isinstance(one, Mapping) else None
            if counts is not None:
                rows.append((f"{column}={one.get('value')}", counts))
    if not rows:
        return
    yield heading(f"{unit_noun(document).capitalize()}s by --stratify (reached / wanted)")
    grid = Grid(["", *SPLITS], styles={_NO_BOX: "bold red"})
    cells = _lined_up([[(count(reached), count(wanted)) for wanted, reached in counts] for _, counts in rows])
    for (name, counts), texts in zip(rows[:CLASSES_SHOWN], cells, strict=False):
        grid.add(name, *(text if reached else _NO_BOX for text, (_, reached) in zip(texts, counts, strict=True)))
    yield grid
    yield from more_classes(rows)


def _held(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield the table of classes by split."""
    rows: Sequence[Mapping[str, Any]] = document["classes"]
    if rows:
        title = f"Classes in the final splits (boxes / slices / {document['unit']}s with the class)"
        cells = {split: _cells([[*row[split].values()] for row in rows]) for split in SPLITS}
    else:
        rows = planned_boxes(document["targets"].get("classes"))
        if len(rows) < 2:
            return
        title = "Boxes of each class, before undersampling"
        cells = {split: [count(row[split]) if row[split] else _NO_BOX for row in rows] for split in SPLITS}
    yield heading(title)
    grid = Grid(["class", *SPLITS], styles={_NO_BOX: "bold red"})
    for index, row in enumerate(rows[:CLASSES_SHOWN]):
        grid.add(row["name"] or row["class"], *(cells[split][index] for split in SPLITS))
    yield grid
    yield from more_classes(rows)


def more_classes(rows: Sequence[object]) -> Iterable[Renderable]:
    """Yield how many classes a table of the first ones leaves out, if it does."""
    if len(rows) > CLASSES_SHOWN:
        yield line(f"  and {count(len(rows) - CLASSES_SHOWN)} more (--json lists all)")


def planned_boxes(found: object) -> list[dict[str, Any]]:
    """Return the boxes of each class by split from the targets of a plan file, which may lack them."""
    rows = []
    for row in found if isinstance(found, list) else ():
        counts = _counts(row, "reached") if isinstance(row, dict) else None
        if counts is not None:
            name = {"class": row.get("class"), "name": row.get("name")}
            rows.append(name | {split: reached for split, (reached,) in zip(SPLITS, counts, strict=True)})
    return rows


def _cells(rows: Sequence[Sequence[int]]) -> list[str]:
    """Return each row of numbers as a text, or that there is no box, which is the first number."""
    texts = aligned([list(map(count, row)) for row in rows])
    return [text if boxes else _NO_BOX for text, (boxes, *_) in zip(texts, rows, strict=True)]


# ---- targets of classes ---------------------------------------------------------------------------------------------


class ClassTarget(NamedTuple):
    """How the boxes of a class, and the units that have it, are divided over the splits, before undersampling.

    Attributes:
        class_id: of the class.
        name: its name, or None.
        boxes: wanted and reached, for each split.
        groups: least and most wanted, and reached volumes, or patients where they are known, for each split.
        deviation: how far the share of the boxes is from the ratio, in percentage points, in the worst split.
        floor: the least deviation that a split can have for this class alone, with the wanted numbers of groups.
        proven: no split with these numbers is better for this class.
    """

    class_id: int
    name: str | None
    boxes: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, int, int], ...]
    deviation: Decimal
    floor: Decimal
    proven: bool

    @property
    def called(self) -> str:
        """Its name, or `class 3`."""
        return self.name or f"class {self.class_id}"

    @property
    def gap(self) -> Decimal:
        """By how many points a better split for this class may be nearer, at most; 0 where that is proven."""
        return Decimal(0) if self.proven else max(self.deviation - self.floor, Decimal(0))


def class_targets(targets: Mapping[str, Any]) -> list[ClassTarget]:
    """Return the targets of each class; none in a plan of one class, and in plans of versions before 0.3."""
    rows = targets.get("classes")
    found = [_class_target(row) for row in rows] if isinstance(rows, list | tuple) else []
    return [one for one in found if one is not None]


def _class_target(row: object) -> ClassTarget | None:
    groups = row.get("groups") if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or not isinstance(groups, Mapping):
        return None
    boxes, units = _counts(row, "wanted", "reached"), _counts(groups, "least", "most", "reached")
    deviation, floor = _points(row.get("deviation")), _points(row.get("floor"))
    class_id, name = row.get("class"), row.get("name")
    if boxes is None or units is None or deviation is None or floor is None or type(class_id) is not int:
        return None
    called = name if isinstance(name, str) else None
    return ClassTarget(class_id, called, boxes, units, deviation, floor, row.get("proven") is True)


def _counts(counts: Mapping[str, Any], *keys: str) -> tuple[tuple[Any, ...], ...] | None:
    """Return the numbers under these keys of each split, or None where one is not said."""
    rows = [counts.get(split) for split in SPLITS]
    found = tuple(tuple(row.get(key) for key in keys) for row in rows if isinstance(row, Mapping))
    whole = len(found) == len(SPLITS) and all(type(number) is int for row in found for number in row)
    return found if whole else None


def _points(text: object) -> Decimal | None:
    """Return percentage points, which a plan has as text."""
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() and abs(number) <= 100 else None


def nearness(targets: Sequence[ClassTarget], noun: str) -> str:
    """Return in a sentence or two how many classes cannot be divided better, and how far the others may be from that.

    A split that does not keep the wanted numbers of volumes or patients, which `noun` names, may be nearer.
    """
    best = f"no split with the wanted numbers of {noun}s has the boxes nearer to the ratios (proven)"
    proven = sum(one.proven for one in targets)
    if proven == len(targets):
        return f"For all {counted(proven, 'class', 'classes')}, {best}."
    worst = max(targets, key=lambda one: (one.gap, -one.class_id))
    whole = counted(len(targets), "class", "classes")
    others = f"For the others, a split may be nearer by at most {points(worst.gap)} points ({worst.called})"
    return f"For {proven:,} of {whole}, {best}. {others}."


def points(number: Decimal) -> str:
    """Return percentage points with three decimals, as a plan has them."""
    return f"{number:.3f}"


def _targets_text(targets: Sequence[ClassTarget], noun: str) -> Iterable[Renderable]:
    yield heading("Boxes of each class before undersampling (reached / wanted; points off the ratios)")
    grid = Grid(["class", *SPLITS, "off by", "floor", "gap"])
    boxes = [[(count(reached), count(wanted)) for wanted, reached in one.boxes] for one in targets]
    for one, cells in zip(targets, _lined_up(boxes), strict=True):
        gap = "proven" if one.proven else points(one.gap)
        grid.add(one.called, *cells, points(one.deviation), points(one.floor), gap)
    yield grid
    yield heading(f"{noun.capitalize()}s with each class (reached / wanted)")
    grid = Grid(["class", *SPLITS])
    groups = [[(count(reached), span(least, most)) for least, most, reached in one.groups] for one in targets]
    for one, cells in zip(targets, _lined_up(groups), strict=True):
        grid.add(one.called, *cells)
    yield grid


def span(least: int, most: int) -> str:
    """Return the numbers that are wanted: `14`, or `14-15`."""
    return count(least) if least == most else f"{count(least)}-{count(most)}"


def _lined_up(rows: Sequence[Sequence[tuple[str, str]]]) -> list[list[str]]:
    """Return the cells of a table of reached and wanted numbers, those of each column below each other."""
    widths = [max(len(wanted) for _, wanted in column) for column in zip(*rows, strict=True)]
    return [
        [f"{reached} / {wanted.rjust(width)}" for (reached, wanted), width in zip(row, widths, strict=True)]
        for row in rows
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


def sensitivity_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield what val and test can tell, in all and of each class."""
    told, volumes = document["sensitivity"], document["volume_statistics"]
    filled = [split for split in MEASURED_ON if volumes[f"{split}_volumes"]]
    if not filled:
        return
    title = f"What {' and '.join(filled)} can tell"
    yield heading(title)
    for split in filled:
        yield indented(sentence(split, told[split]["units"], told["unit"]))
    if any(told[split]["units"] < told["needed"] for split in filled):
        yield indented(needed_sentence(told["unit"]))
    if told["classes"]:
        columns = [f"{split} {column}" for split in filled for column in (f"{told['unit']}s", "off by")]
        yield heading(f"{title} of each class ({MEASURED} % may be off by up to so many points, {CONFIDENCE} %)")
        grid = Grid(["class", *columns], styles={_NO_BOX: "bold red"})
        for row in told["classes"]:
            grid.add(row["name"] or row["class"], *(cell for split in filled for cell in _off_cells(row[split])))
        yield grid


def _off_cells(measured: Mapping[str, Any]) -> tuple[str, str]:
    if not measured["units"]:
        return _NO_BOX, "-"
    return count(measured["units"]), counted(measured["off"], "point")
