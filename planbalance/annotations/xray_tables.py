"""CSV files of published collections: RSNA pneumonia, keras-retinanet, VinBigData and DeepLesion."""

import re
from collections.abc import Sequence
from typing import Final

from planbalance.annotations.drafts import (
    Draft,
    UnreadableError,
    box_of_corners,
    box_of_size,
    drafted,
    number_of,
    shown,
    size_of,
    source_of,
    text_of,
    whole_of,
)
from planbalance.annotations.nearest_format import other_format
from planbalance.annotations.source import AnnotationSource, FormatOptions, Reviewed, SourceFile, finding_missing
from planbalance.annotations.tables import TableRow, csv_rows, read_table
from planbalance.import_model import Annotation, FormatName, ImageKey, PathKey
from planbalance.text import counted

_NO_FINDING: Final = "no finding"
_LESION_FILE: Final = re.compile(
    r"(?P<folder>(?P<patient>[0-9]{1,9})_[0-9]{1,9}_[0-9]{1,9})_(?P<slice>[0-9]{1,9})\.png"
)


def _rows(files: Sequence[SourceFile], name: FormatName) -> list[TableRow]:
    return [row for file in files for row in read_table(file, name)[1]]


def _reviewed(annotations: Sequence[Annotation]) -> list[Reviewed]:
    return [Reviewed(one.key, one.reader) for one in annotations if one.key is not None]


def _finding(name: str, options: FormatOptions) -> str:
    if not options.finding:
        raise finding_missing(f"{name} knows one finding only, and its files do not name it")
    return options.finding


# ---- RSNA -----------------------------------------------------------------------------------------------------------


def read_rsna(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the CSV of the RSNA Pneumonia Detection Challenge says: Target 1 with a box, or Target 0."""
    finding = _finding("rsna", options)
    annotations = [_rsna(row, finding) for row in _rows(files, "rsna")]
    patients: dict[ImageKey, str] = {one.key: one.key.path for one in annotations if isinstance(one.key, PathKey)}
    return source_of("rsna", annotations, _reviewed(annotations), declared=[finding], patients=patients)


def _rsna(row: TableRow, finding: str) -> Annotation:
    def fill(draft: Draft) -> None:
        draft.key = PathKey(text_of(row.field("patientId"), "patientId"))
        row.require_fit()
        target = whole_of(row.field("Target"), "Target")
        if target not in (0, 1):
            raise UnreadableError(f"Target is neither 0 nor 1: {target}")
        draft.label = finding
        if target == 0:
            if any(row.field(name) for name in ("x", "y", "width", "height")):
                raise UnreadableError("Target is 0, but there is a box")
            draft.kind, draft.label = "negative-mark", ""
            return
        x, y, width, height = (number_of(row.field(name), name) for name in ("x", "y", "width", "height"))
        draft.box = box_of_size(x, y, width, height)

    return drafted(row.number, row.where, fill)


# ---- keras-retinanet ------------------------------------------------------------------------------------------------


def read_retinanet(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:  # noqa: ARG001 - as all readers
    """Return what a CSV without a header line says: path,x1,y1,x2,y2,class."""
    rows = [(file, line, row) for file in files for line, row in csv_rows(file)]
    if not rows:
        raise other_format(files[0].name, files[0].data, "retinanet", "it has no line")
    fitting = sum(len(row) == 6 and _is_box_line(row) for _, _, row in rows)
    if fitting == 0 or not _is_box_line(rows[0][2]):
        file, line, row = rows[0]
        raise other_format(
            file.name, file.data, "retinanet", f"its line {line} is not path,x1,y1,x2,y2,class: {shown(','.join(row))}"
        )
    annotations = [_retinanet(number, line, row) for number, (_, line, row) in enumerate(rows, start=1)]
    return source_of("retinanet", annotations, _reviewed(annotations))


def _is_box_line(row: Sequence[str]) -> bool:
    """Return whether a line may be one of this format: only the header line of another one has words for numbers."""
    return any(field[:1].isdigit() or field[:1] in ("-", "+", ".") for field in row[1:5]) or not any(row[1:])


def _retinanet(number: int, line: int, row: list[str]) -> Annotation:
    def fill(draft: Draft) -> None:
        draft.key = PathKey(text_of(row[0], "path"))
        if len(row) != 6:
            raise UnreadableError(f"it has {len(row)} fields, not 6")
        if not any(row[1:]):
            draft.kind = "negative-mark"
            return
        draft.label = text_of(row[5], "class")
        draft.box = box_of_corners(
            *(number_of(field, name) for field, name in zip(row[1:5], ("x1", "y1", "x2", "y2"), strict=True))
        )

    return drafted(number, f"line {line}", fill)


# ---- VinBigData -----------------------------------------------------------------------------------------------------


def read_vinbigdata(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:  # noqa: ARG001 - as all readers
    """Return what the CSV of the VinBigData Chest X-ray competition says: several readers, and `No finding`."""
    annotations = [_vinbigdata(row) for row in _rows(files, "vinbigdata")]
    return source_of("vinbigdata", annotations, _reviewed(annotations))


def _vinbigdata(row: TableRow) -> Annotation:
    def fill(draft: Draft) -> None:
        draft.key = PathKey(text_of(row.field("image_id"), "image_id"))
        row.require_fit()
        draft.reader = text_of(row.field("rad_id"), "rad_id")
        draft.label = text_of(row.field("class_name"), "class_name")
        if draft.label.lower() == _NO_FINDING:
            draft.kind = "negative-mark"
            return
        draft.box = box_of_corners(*(number_of(row.field(name), name) for name in ("x_min", "y_min", "x_max", "y_max")))

    return drafted(row.number, row.where, fill)


# ---- DeepLesion -----------------------------------------------------------------------------------------------------


def read_deeplesion(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what DL_info.csv says: one lesion a line, and only key slices were reviewed."""
    finding = _finding("deeplesion", options)
    rows = _rows(files, "deeplesion")
    annotations = [_deeplesion(row, finding) for row in rows]
    noisy = sum(row.fields.get("Possibly_noisy", "") == "1" for row in rows)
    warnings = (
        [f"{counted(noisy, 'lesion')} {'is' if noisy == 1 else 'are'} marked as Possibly_noisy."] if noisy else []
    )
    patients: dict[ImageKey, str] = {
        one.key: one.key.path.partition("_")[0] for one in annotations if isinstance(one.key, PathKey)
    }
    return source_of(
        "deeplesion", annotations, _reviewed(annotations), declared=[finding], patients=patients, warnings=warnings
    )


def _deeplesion(row: TableRow, finding: str) -> Annotation:
    def fill(draft: Draft) -> None:
        name = text_of(row.field("File_name"), "File_name")
        parts = _LESION_FILE.fullmatch(name)
        if parts is None:
            raise UnreadableError(f"File_name is not like 000001_01_01_109.png: {shown(name)}")
        draft.key = PathKey(f"{parts['folder']}/{parts['slice']}.png", also=name)  # as unpacked, or all in one folder
        row.require_fit()
        draft.label = finding
        if whole_of(row.field("Key_slice_index"), "Key_slice_index") != int(parts["slice"]):
            raise UnreadableError(f"Key_slice_index is {row.field('Key_slice_index')}, but File_name is {name}")
        if row.fields.get("Image_size"):
            draft.stated_size = size_of(*_listed(row.field("Image_size"), 2, "Image_size"))
        corners = _listed(row.field("Bounding_boxes"), 4, "Bounding_boxes")
        draft.box = box_of_corners(*(number_of(one, "Bounding_boxes") for one in corners))

    return drafted(row.number, row.where, fill)


def _listed(text: str, count: int, what: str) -> list[str]:
    """Return the numbers of a field such as `10.5, 20, 30, 40`. Raises UnreadableError if there are not `count`."""
    parts = text.split(",")
    if len(parts) != count:
        raise UnreadableError(f"{what} has {len(parts)} numbers, not {count}: {shown(text)}")
    return parts
