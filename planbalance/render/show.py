"""What `show` prints beside the plan's statistics: one volume slice by slice, or all volumes as a table for a paper."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

from planbalance.model import Operation, PlanHeader, PlannedVolume
from planbalance.render.plan_facts import NumberOf, stored_numbers
from planbalance.render.table import Grid, Group, Renderable, count, heading, line, prose
from planbalance.runlength import decode, encode

# A volume's slices as letters, and what each letter stands for.
_STRIP: Final = {"positive": "#", "kept": ".", "dropped": "x", "missing": "_"}
# Nobody can read a longer strip (numbers may be dates), and a hostile plan must not fill the memory.
_STRIP_LIMIT: Final = 2_000


def volume_document(header: PlanHeader, volume: PlannedVolume, operations: Iterable[Operation]) -> dict[str, Any]:
    """Return one volume: where it goes, and its slices as run-length text.

    Args:
        header: the plan's first line.
        volume: one of its volumes.
        operations: the plan's operations; those of other volumes are passed over.
    """
    number_of = NumberOf(header)
    positives, negatives = stored_numbers(header, volume.id)
    numbers: dict[bool, list[int]] = {True: positives, False: negatives}
    images = []
    for operation in operations:
        if operation.volume == volume.id:
            number = number_of(operation)
            images.append((-1 if number is None else number, _source(header, operation)))
            if number is not None:
                numbers[operation.positive].append(number)
    return {
        "volume": volume.id,
        "group": volume.group,
        "split": volume.split,
        "slices": volume.slices,
        "positive": volume.positives,
        "kept": volume.kept,
        "positive_slices": encode(sorted(set(numbers[True]))),
        "kept_negative_slices": encode(sorted(set(numbers[False]) - set(numbers[True]))),
        "dropped_slices": volume.dropped,
        "missing_slices": volume.missing,
        "images": [image for _, image in sorted(images)],
    }


def _source(header: PlanHeader, operation: Operation) -> str:
    return f"{header.inputs[operation.input].rstrip('/')}/{operation.image}"


def volume_text(document: Mapping[str, Any]) -> Renderable:
    """Return one volume for a person, its slices as a strip of letters."""
    grid = Grid(["", "count", "numbers"], words=frozenset({2}))
    negatives = document["kept"] - document["positive"]
    dropped = document["slices"] - document["kept"]
    grid.add("positive", count(document["positive"]), document["positive_slices"])
    grid.add("negative, kept", count(negatives), document["kept_negative_slices"])
    grid.add("negative, dropped", count(dropped), document["dropped_slices"])
    grid.add("not there (gaps)", "", document["missing_slices"])
    strip = _strip(document)
    return Group(
        line(("Volume  ", "dim"), document["volume"]),
        line(("Group   ", "dim"), document["group"]),
        line(("Split   ", "dim"), document["split"]),
        heading("Slices"),
        grid,
        *([prose(""), prose("  " + strip), prose("  # positive  . kept  x dropped  _ not there")] if strip else []),
        heading("Images kept"),
        *(line("  " + image) for image in document["images"]),
    )


def _strip(document: Mapping[str, Any]) -> str:
    """Return a letter for each slice number, from the first to the last; `""` where there are too many."""
    letters: dict[int, str] = {}
    for key, kind in (
        ("missing", "missing"),
        ("dropped", "dropped"),
        ("kept_negative", "kept"),
        ("positive", "positive"),
    ):
        try:
            numbers = decode(document[f"{key}_slices"], limit=_STRIP_LIMIT)
        except ValueError:
            return ""
        letters.update(dict.fromkeys(numbers, _STRIP[kind]))
    return "".join(letters[number] for number in sorted(letters))


def volumes_csv(volumes: Iterable[PlannedVolume]) -> str:
    """Return volume, group and split of every volume as CSV, for a paper's appendix or a later `--split-map`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("volume", "group", "split"))
    rows.writerows((volume.id, volume.group, volume.split) for volume in volumes)
    return text.getvalue()
