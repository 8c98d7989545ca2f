"""YOLO label text -> how many annotations, of which classes, and which lines are not valid.

A valid line is a class and 4 numbers (a box), or a class and an even number of at least 6 (a polygon), every number in
[0, 1], the class a whole number below the number of classes where that is known (the contract, plan / build). Trainers
read every field as a float, so `0.0` is class 0. Nothing in a file makes this raise.
"""

import re
from typing import Final, NamedTuple

CLASS_LIMIT: Final = 2**31  # no data set has as many; keeps ids within what JSON and trainers hold
_BOM: Final = b"\xef\xbb\xbf"
# The common label, told by one search: a box, its numbers written so that they cannot be beyond 0 and 1.
ONE_BOX: Final = re.compile(rb"([0-9]{1,9})(?: (?:0?\.[0-9]{1,20}|[01]|1\.0{1,20})){4}\r?\n?")
_PLACES: Final = ("x centre", "y centre", "width", "height")


class LabelFacts(NamedTuple):
    """What a label file says."""

    annotations: int  # lines that are not blank
    classes: tuple[int, ...]  # class id of every valid line, in file order
    problems: tuple[tuple[int, str], ...]  # (line number from 1, what is wrong)


EMPTY: Final = LabelFacts(0, (), ())


def read_label(data: bytes, class_count: int | None) -> LabelFacts:
    """Return the facts of one label file; `class_count` None sets no limit to the class ids.

    A byte order mark, CRLF line ends and white space around and between fields are as good as none. A file of white
    space only is a negative slice's: no annotation, no problem.
    """
    limit = CLASS_LIMIT if class_count is None else class_count
    if (box := ONE_BOX.fullmatch(data)) and int(box[1]) < limit:
        return LabelFacts(1, (int(box[1]),), ())
    if data.startswith(_BOM):
        data = data[3:]
    if not data.isascii():
        return _read_wide(data, class_count)
    annotations = 0
    classes: list[int] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(data.splitlines(), start=1):
        fields: list[bytes] = line.split()
        if not fields:
            continue
        annotations += 1
        class_id = _class_of_valid(fields, limit)
        if class_id is None:
            problems.append((number, _reason(fields, class_count)))
        else:
            classes.append(class_id)
    return LabelFacts(annotations, tuple(classes), tuple(problems))


def _read_wide(data: bytes, class_count: int | None) -> LabelFacts:
    """Read a file that is not ASCII: other alphabets' blanks are blanks to trainers, all else is an invalid line."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        lines = data.splitlines()
    else:
        # one line per line as an editor counts them: blanks such as U+2028 or NBSP separate fields only
        lines = [
            b" ".join(field.encode() for field in line.split())
            for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        ]
    annotations = 0
    classes: list[int] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.isascii():
            annotations += 1
            problems.append((number, "not a line of numbers: it holds other characters"))
        else:
            facts = read_label(line, class_count)
            annotations += facts.annotations
            classes += facts.classes
            problems += [(number, reason) for _, reason in facts.problems]
    return LabelFacts(annotations, tuple(classes), tuple(problems))


def _class_of_valid(fields: list[bytes], limit: int) -> int | None:
    """Return the class of a valid line, or None. The common case: this runs once an annotation."""
    count = len(fields)
    if count < 5 or count == 6 or not count % 2:
        # 5 fields are a box; 7, 9, ... a polygon of 3, 4, ... points
        return None
    try:
        for field in fields[1:]:
            if not 0.0 <= float(field) <= 1.0:  # false for nan as well
                return None
    except ValueError:
        return None
    class_id = _class_id(fields[0])
    if class_id is None or class_id >= limit or any(b"_" in field for field in fields):  # float() admits 0_5
        return None
    return class_id


def _class_id(field: bytes) -> int | None:
    if field.isdigit() and len(field) < 20:
        return int(field)
    try:
        value = float(field)
    except ValueError:
        return None
    return int(value) if 0 <= value < CLASS_LIMIT and value.is_integer() else None


def _reason(fields: list[bytes], class_count: int | None) -> str:
    """Say what is wrong with a line that is known to be invalid: the first thing a person would see."""
    count = len(fields) - 1
    if count < 4 or count == 5 or count % 2:
        return (
            f"a class and 4 numbers, or a class and an even number of at least 6, are wanted; {count} follow the class"
        )
    for index, field in enumerate(fields[1:]):
        place = _PLACES[index] if count == 4 else f"number {index + 1}"
        value = _number(field)
        if value is None:
            return f"{place} is not a number: {_shown(field)}"
        if not 0.0 <= value <= 1.0:
            return f"{place} {_shown(field)} is not between 0 and 1"
    class_id = None if b"_" in fields[0] else _class_id(fields[0])
    if class_id is None:
        return f"the class is not a whole number from 0: {_shown(fields[0])}"
    if class_count is not None:
        return f"class {class_id} is not one of the data set's {class_count}"
    return f"class {class_id} is too large"


def _number(field: bytes) -> float | None:
    try:
        return None if b"_" in field else float(field)
    except ValueError:
        return None


def _shown(field: bytes) -> str:
    """Return a field for a message: short and printable, whatever it holds."""
    return ascii(field[:24].decode("ascii", "backslashreplace"))[1:-1] + ("..." if len(field) > 24 else "")
