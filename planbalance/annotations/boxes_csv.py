"""Any CSV with a box in each line; nothing about it is guessed: the options name columns, form, origin and base."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from planbalance.annotations.drafts import (
    Draft,
    NoGeometryError,
    box_of_centre,
    box_of_corners,
    box_of_size,
    drafted,
    number_of,
    source_of,
    text_of,
    whole_of,
)
from planbalance.annotations.source import (
    COLUMN_NAMES,
    AnnotationSource,
    FormatOptions,
    Reviewed,
    SourceFile,
    finding_missing,
    option_missing,
)
from planbalance.annotations.tables import TableRow, read_columns
from planbalance.errors import InputError, UsageError
from planbalance.import_model import Annotation, Box, BoxForm, ImageKey, PathKey, PlaneKey
from planbalance.text import counted, some

_CORNERS: Final = ("left", "top", "right", "bottom")
_SIZES: Final = ("x", "y", "width", "height")
_NUMBERS: Final[Mapping[BoxForm, tuple[str, ...]]] = {"xyxy": _CORNERS, "xywh": _SIZES, "cxcywh": _SIZES}


class _LineReader:
    """How the lines of a file are read."""

    def __init__(self, options: FormatOptions) -> None:
        self.columns = options.columns
        self.form: BoxForm = options.box or "xyxy"
        self.origin = options.origin or 0
        self.slice_base = options.slice_base or 0
        self.finding = options.finding
        self.zeros = 0  # boxes that begin at 0, although the first pixel is said to be 1

    def annotation(self, row: TableRow) -> Annotation:
        return drafted(row.number, row.where, lambda draft: self._fill(draft, row))

    def _fill(self, draft: Draft, row: TableRow) -> None:
        draft.key = self._key(row)
        row.require_fit()
        draft.reader = self._text(row, "reader")
        draft.label = self._text(row, "label") if "label" in self.columns else self.finding
        numbers = [row.field(self.columns[name]) for name in _NUMBERS[self.form]]
        if not any(numbers):
            if draft.label and "label" in self.columns:
                raise NoGeometryError("it has a label and no box")
            draft.kind, draft.label = "negative-mark", ""
            return
        text_of(draft.label, "label")
        x, y, *rest = (number_of(text, name) for text, name in zip(numbers, _NUMBERS[self.form], strict=True))
        self.zeros += self.origin == 1 and self.form != "cxcywh" and (x == 0 or y == 0)
        draft.box = self._box(x - self.origin, y - self.origin, rest[0], rest[1])

    def _text(self, row: TableRow, name: str) -> str:
        return text_of(row.field(self.columns[name]), name, needed=False) if name in self.columns else ""

    def _key(self, row: TableRow) -> ImageKey:
        named = "volume" if "volume" in self.columns else "image"
        image = text_of(row.field(self.columns[named]), named)
        if "slice" not in self.columns:
            return PathKey(image)
        return PlaneKey(image, whole_of(row.field(self.columns["slice"]), "slice") - self.slice_base)

    def _box(self, x: Decimal, y: Decimal, third: Decimal, fourth: Decimal) -> Box:
        """Return the box; corners from 1 are pixels that both belong to it, so the last one stays as it is."""
        if self.form == "xyxy":
            return box_of_corners(x, y, third, fourth)
        return (box_of_size if self.form == "xywh" else box_of_centre)(x, y, third, fourth)


def read_boxes_csv(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the lines of a CSV say.

    With `origin` 1, the corners of `xyxy` are pixels that both belong to the box, as in Pascal VOC: left - 1 and right.

    Raises:
        InputError: a column is not there (kind `other-format`), or the file is no CSV text (kind `bad-annotations`); or
            nobody says what the first pixel or slice is called, or what the boxes show (kinds `origin`, `slice-base`,
            `no-classes`).
        UsageError: `columns` or `box` is missing (kind `option-missing`), or the columns do not fit the others (kind
            `bad-columns`).
    """
    _check(options)
    reading = _LineReader(options)
    columns = tuple(options.columns.values())
    annotations = [reading.annotation(row) for file in files for row in read_columns(file, "boxes-csv", columns)]
    reviewed = [Reviewed(one.key, one.reader) for one in annotations if one.key is not None]
    declared = [] if "label" in options.columns else [options.finding]
    warnings = [f"{_begin(reading.zeros)} at 0, but by --origin 1 the first pixel is 1."] if reading.zeros else []
    return source_of("boxes-csv", annotations, reviewed, declared=declared, warnings=warnings)


def _begin(boxes: int) -> str:
    return counted(boxes, "box begins", "boxes begin")


def _check(options: FormatOptions) -> None:
    if not options.columns:
        raise option_missing(
            "--columns NAME=COLUMN,...", f"boxes-csv names no columns; NAME is {some(COLUMN_NAMES, 20)}"
        )
    if "label" not in options.columns and not options.finding:
        raise finding_missing("--columns has no label, and --classes does not name exactly one class")
    if options.box is None:
        raise option_missing("--box xyxy|xywh|cxcywh", "boxes-csv does not say what the four numbers of a box are")
    _check_columns(options.columns, options.box)
    if options.origin is None:
        raise InputError(
            "It is not clear whether the first pixel of a row is 0 or 1: boxes-csv does not say it.",
            kind="origin",
            hint="Give --origin 0 or --origin 1.",
        )
    if "slice" in options.columns and options.slice_base is None:
        raise InputError(
            "It is not clear whether the first slice of a volume is 0 or 1: boxes-csv does not say it.",
            kind="slice-base",
            hint="Give --slice-base 0 or --slice-base 1.",
        )


def _check_columns(columns: Mapping[str, str], form: BoxForm) -> None:
    numbers = _NUMBERS[form]
    unknown = [name for name in columns if name not in COLUMN_NAMES]
    absent = [name for name in numbers if name not in columns]
    unused = [name for name in columns if name in {*_CORNERS, *_SIZES} and name not in numbers]
    if unknown:
        raise _bad_columns(f"--columns has the names {some(unknown)}", f"The names are {', '.join(COLUMN_NAMES)}.")
    if absent:
        raise _bad_columns(f"--columns has no {some(absent)}", f"--box {form} needs {', '.join(numbers)}.")
    if unused:
        raise _bad_columns(f"--columns has {some(unused)}", f"--box {form} uses {', '.join(numbers)} only.")
    if ("image" in columns) == ("volume" in columns):
        raise _bad_columns("--columns must have either image or volume", "A volume needs slice too.")
    if "volume" in columns and "slice" not in columns:
        raise _bad_columns("--columns has volume and no slice", "Add slice=COLUMN.")


def _bad_columns(fault: str, hint: str) -> UsageError:
    return UsageError(f"These columns cannot be used: {fault}.", kind="bad-columns", hint=hint)
