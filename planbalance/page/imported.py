"""The page of an import: the fate of each annotation, every volume, and slices with their boxes drawn.

A picture that is flipped or boxes that are shifted are seen at a glance: contact sheets show the slices of each volume
with the boxes that the labels hold.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from planbalance import path_safety, tool_version
from planbalance.decode import NoPictureError
from planbalance.destination import ImportDestinations
from planbalance.errors import InputError, UsageError
from planbalance.import_model import FATES, LEDGER_COLUMNS, ImportHeader, ImportOperation, LedgerLine
from planbalance.importing.pictures import render_file
from planbalance.importing.source_options import image_options_of
from planbalance.model import Audit, Progress, Silent
from planbalance.page.audit_section import audited
from planbalance.page.boxes import LabelBox, boxes_of, class_name
from planbalance.page.commands import Step
from planbalance.page.pixels import EmbeddedPicture, picture, picture_of
from planbalance.page.samples import Outline
from planbalance.page.template import Written, page_place, rendered, write_rendered
from planbalance.planfile import files_of
from planbalance.planstore import ImportPlan
from planbalance.render.importing import (
    FATE_MEANINGS,
    STATE_MEANINGS,
    identity_sentences,
    import_document,
    next_command,
)

_VOLUMES_DRAWN: Final = 24  # contact sheets: about 15 KB a slice
_ROWS: Final = 400  # of the ledger; the CSV has all
_WRITTEN: Final = ("used", "clipped")


class DrawnSlice(NamedTuple):
    """One slice on a contact sheet: its picture, or the reason why there is none."""

    number: int
    name: str
    positive: bool
    picture: EmbeddedPicture | None
    reason: str
    outlines: tuple[Outline, ...]


class ContactSheet(NamedTuple):
    """Some slices of one volume."""

    volume: str
    source: str
    slices: tuple[DrawnSlice, ...]
    more: int


def write_import_page(
    path: str,
    plan: ImportPlan,
    *,
    dataset: str | None = None,
    audit: Audit | None = None,
    samples: int = 4,
    progress: Progress | None = None,
) -> Written:
    """Write the page of an import in one step.

    Args:
        path: of the HTML file.
        plan: what it shows.
        dataset: what was built from it, absolute; None: pictures are rendered from the sources.
        audit: of the dataset, where one was made.
        samples: slices of each contact sheet. 0: no sheets.
        progress: where drawing is reported to.

    Raises:
        UsageError: the file lies in an input or in the dataset, cannot be written, or jinja2 is not installed.
        PlanError: the plan is damaged.
    """
    path = os.path.abspath(path)
    check_import_page(path, plan, dataset)
    document = import_document(
        plan.header, plan.ledger(), plan_file=plan.path or None, warnings=plan.header.warnings, replaced=""
    )
    context: dict[str, Any] = {
        "document": document,
        "summary": document["summary"],
        "fates": FATES,
        "meanings": FATE_MEANINGS,
        "states": STATE_MEANINGS,
        "dataset": dataset,
        "audit": None
        if audit is None
        else audited(audit, dataset, f"planbalance {tool_version()}", progress or Silent()),
        "sheets": _sheets(plan, dataset, samples, progress or Silent()) if samples else [],
        "drawn_from": "the dataset" if dataset else "the sources",
        "columns": LEDGER_COLUMNS,
        "identity": list(identity_sentences(document)),
        **_ledger(plan.ledger()),
        "steps": _steps(plan, dataset),
    }
    return write_rendered(path, rendered("imported.html", context))


def check_import_page(path: str, plan: ImportPlan, dataset: str | None) -> None:
    """Check, before long work, that a page can be made and lies in no input and no dataset. Raises UsageError."""
    page = page_place(path)
    path_safety.refuse_files(page, plan.header.inputs)
    path_safety.refuse_files(page, [each for each in (dataset, plan.header.output) if each], what="dataset")


def _ledger(lines: Sequence[LedgerLine]) -> dict[str, Any]:
    """Return the lines of annotations that are not written, as far as the page shows them."""
    place = LEDGER_COLUMNS.index("fate")
    lost = [line for line in lines if line[place] not in _WRITTEN]
    return {"lost": lost[:_ROWS], "lost_more": max(0, len(lost) - _ROWS)}


def _steps(plan: ImportPlan, dataset: str | None) -> tuple[Step, ...]:
    path = plan.path or "import.json"
    output = dataset or plan.header.output
    build = () if dataset else (Step("Build it", f"planbalance apply {path}"),)
    return (
        Step("Look at it", f"planbalance show {path}"),
        *build,
        Step("Audit what was built", f"planbalance verify {output}"),
        Step("Divide it into splits", next_command(plan.header, output)),
    )


# ---- contact sheets -------------------------------------------------------------------------------------------------


def _sheets(plan: ImportPlan, dataset: str | None, samples: int, progress: Progress) -> list[ContactSheet]:
    """Return the sheets of the volumes with the most boxes of each source; all where there are few volumes."""
    header = plan.header
    chosen = _chosen(header)
    sheets: dict[int, ContactSheet] = {}
    progress.begin("drawing volumes", len(chosen), "volumes")
    try:
        for index, operations in groupby(plan.operations(), key=lambda each: each.volume):
            if index in chosen:
                sheets[index] = _sheet(header, index, list(operations), dataset, samples)
                progress.advance(1)
    finally:
        progress.end()
    return [sheets[index] for index in sorted(sheets, key=lambda index: (-header.volumes[index].boxes, index))]


def _chosen(header: ImportHeader) -> set[int]:
    """Return the volumes to draw: of each source in turn, the one with the most boxes that is left."""
    by_source: dict[int, list[int]] = {}
    order = sorted(range(len(header.volumes)), key=lambda index: (-header.volumes[index].boxes, index))
    for index in order:
        if header.volumes[index].written:
            by_source.setdefault(header.volumes[index].source, []).append(index)
    chosen: set[int] = set()
    while len(chosen) < _VOLUMES_DRAWN and any(by_source.values()):
        for left in by_source.values():
            if left and len(chosen) < _VOLUMES_DRAWN:
                chosen.add(left.pop(0))
    return chosen


def _sheet(
    header: ImportHeader, index: int, operations: list[ImportOperation], dataset: str | None, samples: int
) -> ContactSheet:
    volume = header.volumes[index]
    shown = _evenly([each for each in operations if each.label], samples)
    negative = 1 if shown else samples
    shown += _evenly([each for each in operations if not each.label], min(samples - len(shown), negative))
    shown.sort(key=lambda each: each.number)
    drawn = tuple(slice_ for file in files_of(shown) for slice_ in _drawn(header, file, dataset))
    source = header.sources[volume.source]
    return ContactSheet(
        volume.id, str(source.get("name") or source.get("format", "")), drawn, len(operations) - len(shown)
    )


def _evenly(operations: list[ImportOperation], most: int) -> list[ImportOperation]:
    """Return at most so many operations, spread over all of them."""
    if len(operations) <= most:
        return list(operations)
    return [operations[(2 * at + 1) * len(operations) // (2 * most)] for at in range(most)]


def _drawn(header: ImportHeader, file: list[ImportOperation], dataset: str | None) -> Iterator[DrawnSlice]:
    destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
    try:
        pictures = list(_pictures(header, file, dataset, destinations))
    except (NoPictureError, InputError, UsageError) as error:
        for operation in file:
            name = destinations.of(operation).name
            yield DrawnSlice(operation.number, name, bool(operation.label), None, str(error), ())
        return
    for operation, found in zip(file, pictures, strict=True):
        outlines = tuple(_outlines(boxes_of(operation.label.encode()), found, header.names))
        name = destinations.of(operation).name
        yield DrawnSlice(operation.number, name, bool(operation.label), found, "", outlines)


def _pictures(
    header: ImportHeader, file: list[ImportOperation], dataset: str | None, destinations: ImportDestinations
) -> Iterator[EmbeddedPicture]:
    """Yield pictures of slices of one file: those of the dataset, or made from the source. Raises NoPictureError."""
    first = file[0]
    if dataset is not None:
        for operation in file:
            yield picture(f"{dataset}/{'/'.join(destinations.of(operation))}")
        return
    root, volume = header.inputs[first.input], header.volumes[first.volume]
    if not first.pixels:
        yield from (picture(f"{root}/{each.image}") for each in file)
        return
    options = image_options_of(header.sources[volume.source])
    for slice_ in render_file(root, volume, file, options):
        yield picture_of(slice_.width, slice_.height, slice_.pixels)


def _outlines(boxes: Iterable[LabelBox], found: EmbeddedPicture, names: Sequence[str]) -> Iterator[Outline]:
    for box in boxes:
        corners = (f"{x * found.width:.1f},{y * found.height:.1f}" for x, y in box.outline)
        yield Outline(class_name(names, box.class_id), " ".join(corners))
