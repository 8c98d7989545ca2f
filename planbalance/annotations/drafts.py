"""One annotation while its row is read: numbers, texts and boxes of values that may be anything.

Coordinates are kept exact: a text such as `90.3` is a decimal number, and a sum such as x + width is made of decimal
numbers, before both become floats. The shortest text of such a float is the decimal number again.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal, NoReturn

from planbalance.annotations.source import AnnotationSource, Reviewed
from planbalance.import_model import Annotation, Box, FormatName, ImageKey
from planbalance.text import counted, some, text_fault

LARGEST: Final = 10**9  # no coordinate, slice or size is larger
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_LONGEST: Final = 500  # letters of a name or label
_SHOWN: Final = 60  # letters of a value in a message

Kind = Literal["box", "study", "negative-mark", "no-geometry", "crowd", "unreadable"]


class UnreadableError(ValueError):
    """Why a row cannot be read."""


class NoGeometryError(ValueError):
    """Why no box can be made of an annotation that can be read."""


class Draft:
    """An annotation while its row is read: what was read before a fault stays known."""

    __slots__ = ("box", "key", "kind", "label", "label_group", "reader", "reason", "stated_size")

    def __init__(self) -> None:
        self.key: ImageKey | None = None
        self.label = self.reader = self.label_group = self.reason = ""
        self.kind: Kind = "box"
        self.box: Box | None = None
        self.stated_size: tuple[int, int] | None = None


def drafted(number: int, where: str, fill: Callable[[Draft], None]) -> Annotation:
    """Return the annotation that `fill` reads.

    Args:
        number: its place in its source, from 1.
        where: what finds it again for a person.
        fill: sets what it reads: first the image, then reader and label, and the box last. UnreadableError makes the
            annotation unreadable, NoGeometryError one without geometry.
    """
    draft = Draft()
    try:
        fill(draft)
    except UnreadableError as error:
        draft.kind, draft.reason, draft.box = "unreadable", str(error), None
    except NoGeometryError as error:
        draft.kind, draft.reason, draft.box = "no-geometry", str(error), None
    return Annotation(
        number=number,
        where=where,
        key=draft.key,
        label=draft.label,
        reader=draft.reader,
        label_group=draft.label_group,
        kind=draft.kind,
        box=draft.box,
        stated_size=draft.stated_size,
        reason=draft.reason,
    )


def of_unnamed_labels(annotations: Iterable[Annotation], declared: Iterable[str]) -> list[str]:
    """Return a warning where annotations have labels of which the files give an id and no name; they may be wanted."""
    names = set(declared)
    unnamed = [one.label for one in annotations if one.label and one.label not in names]
    if not unnamed:
        return []
    said = counted(len(unnamed), "annotation has a label", "annotations have labels")
    labels = some((shown(label) for label in dict.fromkeys(unnamed)), 3)
    return [f"{said} that the file does not name, and so perhaps a finding: {labels}. --map takes such labels too."]


def source_of(
    name: FormatName,
    annotations: Iterable[Annotation],
    reviewed: Iterable[Reviewed] | None,
    *,
    declared: Iterable[str] = (),
    stated_sizes: Mapping[ImageKey, tuple[int, int]] | None = None,
    patients: Mapping[ImageKey, str] | None = None,
    warnings: Iterable[str] = (),
) -> AnnotationSource:
    """Return what the files of a source say; `declared` are labels that may have no annotation.

    The annotations of several files are numbered through.
    """
    every = tuple(
        one if one.number == number else replace(one, number=number) for number, one in enumerate(annotations, start=1)
    )
    counts = Counter(one.label for one in every if one.label and one.kind != "negative-mark")
    return AnnotationSource(
        format=name,
        annotations=every,
        labels={label: counts[label] for label in sorted({*counts, *declared} - {""})},
        reviewed=None if reviewed is None else tuple(dict.fromkeys(reviewed)),
        stated_sizes=stated_sizes or {},
        patients=patients or {},
        warnings=tuple(warnings),
    )


# ---- values ---------------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """Return a value for a message: short, and without control characters; a text in quotes."""
    if isinstance(value, str):
        return ascii(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    return type(value).__name__ if isinstance(value, dict | list) else repr(value)[:_SHOWN]


def number_of(value: object, what: str) -> Decimal:
    """Return a coordinate or size in pixels.

    Raises:
        UnreadableError: it is no number, not finite, or beyond `LARGEST`.
    """
    if isinstance(value, str):
        text = value.strip()
        found = Decimal(text) if len(text) <= 80 and _NUMBER.fullmatch(text) else None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = _decimal(value)
    else:
        found = None
    if found is None:
        _unreadable(value, what, "number")
    if abs(found) > LARGEST:
        raise UnreadableError(f"{what} is beyond {LARGEST:,}: {shown(value)}")
    return found


def _decimal(value: float) -> Decimal | None:
    if isinstance(value, int):
        return Decimal(value) if abs(value) <= LARGEST else Decimal(2 * LARGEST)
    found = Decimal(repr(value))
    return found if found.is_finite() else None


def whole_of(value: object, what: str) -> int:
    """Return a whole number, which may be written as `5.0`. Raises UnreadableError for anything else."""
    found = number_of(value, what)
    if found != int(found):
        _unreadable(value, what, "whole number")
    return int(found)


def _unreadable(value: object, what: str, wanted: str) -> NoReturn:
    empty = value is None or (isinstance(value, str) and not value.strip())
    raise UnreadableError(f"{what} is empty" if empty else f"{what} is no {wanted}: {shown(value)}")


def text_of(value: object, what: str, *, needed: bool = True) -> str:
    """Return a name or label without blanks at its ends; whole numbers are names too.

    Raises:
        UnreadableError: it is no text, too long, holds control characters, or is empty where it is needed.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 10**18:
        return str(value)
    if value is not None and not isinstance(value, str):
        raise UnreadableError(f"{what} is no text: {shown(value)}")
    text = (value or "").strip()
    if len(text) > _LONGEST:
        raise UnreadableError(f"{what} has more than {_LONGEST} letters: {shown(text)}")
    if fault := text_fault(text):
        raise UnreadableError(f"{what} {fault}: {shown(text)}")
    if needed and not text:
        raise UnreadableError(f"{what} is empty")
    return text


def clean_text(value: object) -> str:
    """Return a name or id without blanks at its ends; "" where it is no text, or one that cannot be shown."""
    try:
        return text_of(value, "", needed=False)
    except UnreadableError:
        return ""


def size_of(width: object, height: object) -> tuple[int, int] | None:
    """Return the stated size of an image; None where none is stated: empty, or 0 as some tools write for unknown.

    Raises:
        UnreadableError: one is no whole number, or negative.
    """
    if all(value is None or value == "" for value in (width, height)):
        return None
    wide, high = whole_of(width, "width of the image"), whole_of(height, "height of the image")
    if wide < 0 or high < 0:
        raise UnreadableError(f"the stated size of the image is {wide} x {high}")
    return (wide, high) if wide and high else None


# ---- boxes ----------------------------------------------------------------------------------------------------------


def box_of_corners(left: Decimal, top: Decimal, right: Decimal, bottom: Decimal) -> Box:
    """Return a box of its corners."""
    return Box(float(left), float(top), float(right), float(bottom))


def box_of_size(x: Decimal, y: Decimal, width: Decimal, height: Decimal) -> Box:
    """Return a box of its left upper corner and its size."""
    return box_of_corners(x, y, x + width, y + height)


def box_of_centre(x: Decimal, y: Decimal, width: Decimal, height: Decimal) -> Box:
    """Return a box of its centre and its size."""
    return box_of_corners(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def hull_of(points: Iterable[tuple[object, object]]) -> Box:
    """Return the smallest box around points.

    Raises:
        UnreadableError: a coordinate is no number.
        NoGeometryError: there is no point.
    """
    numbers = [(number_of(x, "x"), number_of(y, "y")) for x, y in points]
    if not numbers:
        raise NoGeometryError("it has no points")
    across, down = zip(*numbers, strict=True)
    return box_of_corners(min(across), min(down), max(across), max(down))


def pairs_of(values: object, what: str) -> list[tuple[Any, Any]]:
    """Return a list of points `[x, y]`. Raises UnreadableError if it is none."""
    if not isinstance(values, list) or any(not isinstance(one, list) or len(one) != 2 for one in values):
        raise UnreadableError(f"{what} is no list of points")
    return [(one[0], one[1]) for one in values]
