"""YOLO label text -> how many annotations, of which classes, and which lines are not valid.

A valid line is a class and 4 numbers (a box), or a class and an even number of at least 6 (a polygon), every number in
[0, 1], the class a whole number below the number of classes where that is known (docs/reference/output.md). Where the
yaml has `kpt_shape`, it is a class, a box and that many keypoints instead. Trainers read every field as a float, so
`0.0` is class 0. Nothing in a file makes this raise.

A number up to 0.01 outside of [0, 1] is taken and counted: Ultralytics trains on it (8.4, `verify_image_label`), YOLOv5
drops the image (7.0, the same function).
"""

import re
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from planbalance.model import Keypoints, Overshoot

CLASS_LIMIT: Final = 2**31  # no dataset has as many; keeps ids within what JSON and trainers hold
SLACK: Final = 0.01  # Ultralytics' tolerance of coordinates
_BOM: Final = b"\xef\xbb\xbf"
# The most common label, recognised by one search: one box whose numbers, as written, are from 0 to 1.
ONE_BOX: Final = re.compile(rb"([0-9]{1,9})(?: (?:0?\.[0-9]{1,20}|[01]|1\.0{1,20})){4}\r?\n?")
_SIDES: Final = ("width", "height")
_PLACES: Final = ("x centre", "y centre", *_SIDES)
_VISIBILITIES: Final = (0.0, 1.0, 2.0)  # not there, hidden, visible
_OTHER_CHARACTERS: Final = "not a line of numbers: it holds other characters"
KPT_SHAPE: Final = "kpt_shape"  # the yaml's key of keypoints
_NO_SHAPE: Final = "not [K, 2] or [K, 3], for K keypoints"
_MOST_KEYPOINTS: Final = 10_000


def keypoints_of(value: object) -> Keypoints | None:
    """Return the keypoints that a value of `kpt_shape` asks for. Raises ValueError for what is not [K, 2] or [K, 3]."""
    if value is None:
        return None
    shape = value if isinstance(value, list | tuple) else ()
    if len(shape) != 2 or any(type(one) is not int for one in shape):
        raise ValueError(_NO_SHAPE)
    if not 0 < shape[0] <= _MOST_KEYPOINTS or shape[1] not in (2, 3):
        raise ValueError(_NO_SHAPE)
    return Keypoints(*shape)


def joined(overshoots: Iterable[Overshoot | None]) -> Overshoot | None:
    """Return the sum of overshoots; None where there is none."""
    several = [each for each in overshoots if each is not None]
    if not several:
        return None
    lines, most, dropped = zip(*several, strict=True)
    return Overshoot(sum(lines), max(most), sum(dropped))


def overshoot_sentence(overshoot: Overshoot) -> str:
    """Return a sentence on label lines that reach beyond the image, without its full stop."""
    lines, most, dropped = overshoot
    one = lines == 1
    how_far = f"up to {100 * most:.2g} %" if most >= 0.0001 else "less than 0.01 %"
    said = f"{lines:,} label line{'' if one else 's'} reach{'es' if one else ''} {how_far} beyond the image"
    taken = "; Ultralytics accepts " + ("it" if one else "them")
    if not dropped:
        return said + taken
    which = "the image" if one else "the images" if dropped == lines else f"the images of {dropped:,} of them"
    return f"{said}{taken}, YOLOv5 drops {which}"


class LabelFacts(NamedTuple):
    """What a label file says."""

    annotations: int  # lines that are not blank
    classes: tuple[int, ...]  # class id of every valid line, in file order
    problems: tuple[tuple[int, str], ...]  # (line number from 1, what is wrong)
    overshoot: Overshoot | None = None  # of the valid lines


EMPTY: Final = LabelFacts(0, (), ())


def read_label(data: bytes, class_count: int | None, keypoints: Keypoints | None = None) -> LabelFacts:
    """Return the facts of one label file; `class_count` None sets no limit to the class ids.

    A byte order mark, CRLF line ends and further white space around and between fields change nothing. A file of white
    space only is that of a negative slice: it has no annotation, and no problem.
    """
    limit = CLASS_LIMIT if class_count is None else class_count
    if keypoints is None and (box := ONE_BOX.fullmatch(data)) and int(box[1]) < limit:
        return LabelFacts(1, (int(box[1]),), ())
    if data.startswith(_BOM):
        data = data[3:]
    lines = data.splitlines() if data.isascii() else _unicode_lines(data)
    facts = _read_lines(lines, class_count, keypoints, SLACK)
    if facts.overshoot is not None and keypoints is None and _are_mixed(lines):
        facts = _read_lines(lines, class_count, keypoints, 0.0)  # Ultralytics accepts no such number in a file of both
    return facts


def _read_lines(
    lines: Sequence[bytes], class_count: int | None, keypoints: Keypoints | None, slack: float
) -> LabelFacts:
    limit = CLASS_LIMIT if class_count is None else class_count
    annotations = 0
    classes: list[int] = []
    problems: list[tuple[int, str]] = []
    beyond: list[Overshoot] = []
    for number, line in enumerate(lines, start=1):
        fields: list[bytes] = line.split()
        if not fields:
            continue
        annotations += 1
        class_id = _class_of_valid(fields, limit) if keypoints is None else None
        if class_id is not None:
            classes.append(class_id)
            continue
        judged = _judge(fields, class_count, keypoints, slack) if line.isascii() else _OTHER_CHARACTERS
        if isinstance(judged, str):
            problems.append((number, judged))
            continue
        classes.append(judged.class_id)
        if judged.overshoot is not None:
            beyond.append(judged.overshoot)
    return LabelFacts(annotations, tuple(classes), tuple(problems), joined(beyond))


def _unicode_lines(data: bytes) -> list[bytes]:
    """Return the lines of a file that is not ASCII: trainers also separate fields at Unicode white space."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data.splitlines()
    # lines end as in an editor: U+2028 or a no-break space only separates fields
    return [
        b" ".join(field.encode() for field in line.split())
        for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ]


def _are_mixed(lines: Iterable[bytes]) -> bool:
    """Return whether a file holds both boxes and polygons."""
    return len({len(line.split()) == 5 for line in lines if line.strip()}) > 1


def _class_of_valid(fields: list[bytes], limit: int) -> int | None:
    """Return the class of a box or polygon within the image, else None. It runs for each annotation: it is fast."""
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


# ---- lines that are not plainly valid -------------------------------------------------------------------------------


class _Valid(NamedTuple):
    class_id: int
    overshoot: Overshoot | None


def _judge(fields: list[bytes], class_count: int | None, keypoints: Keypoints | None, slack: float) -> _Valid | str:
    """Return the class of a valid line, or the first thing that is wrong with it."""
    wrong = _wrong_count(fields, keypoints)
    if wrong:
        return wrong
    coordinates: list[float] = []
    for place, field in zip(_places(len(fields) - 1, keypoints), fields[1:], strict=True):
        value = _number(field)
        if value is None:
            return f"{place} is not a number: {_shown(field)}"
        value = as_single(value)
        if place.startswith("visibility"):
            if value not in _VISIBILITIES:
                return f"{place} {_shown(field)} is none of 0, 1 and 2"
        elif not (0.0 if place in _SIDES else -slack) <= value <= as_single(1.0 + slack):
            return f"{place} {_shown(field)} is not between 0 and 1"
        else:
            coordinates.append(value)
    class_id = _valid_class(fields[0], class_count)
    return class_id if isinstance(class_id, str) else _with_overshoot(class_id, coordinates, keypoints)


@lru_cache(64)
def _places(count: int, keypoints: Keypoints | None) -> tuple[str, ...]:
    """Return what the numbers behind the class are called."""
    if keypoints is not None:
        parts = ("x", "y", "visibility")[: keypoints.dims]
        named = [f"{part} of keypoint {number}" for number in range(1, keypoints.number + 1) for part in parts]
        return (*_PLACES, *named)
    return _PLACES if count == 4 else tuple(f"number {number}" for number in range(1, count + 1))


def _wrong_count(fields: Sequence[bytes], keypoints: Keypoints | None) -> str:
    """Return what is wrong with the number of columns, "" where nothing is."""
    count = len(fields) - 1
    if keypoints is not None:
        if len(fields) == keypoints.columns:
            return ""
        wanted = f"kpt_shape [{keypoints.number}, {keypoints.dims}] wants {keypoints.columns} columns"
        return f"{wanted} (class, box, keypoints); the line has {len(fields)}"
    if count == 5 and all((value := _number(field)) is not None and 0 <= value <= 1 for field in fields[1:]):
        return "6 columns, and the last looks like a confidence (predictions, not annotations): cut that column"
    if count >= 4 and count != 5 and count % 2 == 0:
        return ""
    return f"a class and 4 numbers, or a class and an even number of at least 6, are wanted; {count} follow the class"


def _valid_class(field: bytes, class_count: int | None) -> int | str:
    """Return the class, or what is wrong with it."""
    class_id = None if b"_" in field else _class_id(field)
    if class_id is None:
        return f"the class is not a whole number from 0: {_shown(field)}"
    if class_id < (CLASS_LIMIT if class_count is None else class_count):
        return class_id
    if class_count is not None:
        return f"class {class_id} is not one of the dataset's {class_count}"
    return f"class {class_id} is too large"


def _with_overshoot(class_id: int, values: Sequence[float], keypoints: Keypoints | None) -> _Valid | str:
    """Return a line whose numbers are valid one by one; `values` are its coordinates, keypoints' visibility left out.

    Of a polygon, trainers judge the box around it.
    """
    most = max(max(values) - 1.0, -min(values))
    if most <= 0:
        return _Valid(class_id, None)
    judged = values if keypoints is not None or len(values) == 4 else list(map(as_single, box_around(values)))
    if max(judged) > as_single(1.0 + SLACK):
        return f"the polygon is {max(judged):.6g} of the image's side: more than 1"
    dropped = keypoints is None and not 0.0 <= min(judged) <= max(judged) <= 1.0
    return _Valid(class_id, Overshoot(1, most, int(dropped)))


def box_around(points: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the centre, width and height of the box around a polygon; `points` are x, y, x, y and so on."""
    left, right, top, bottom = min(points[::2]), max(points[::2]), min(points[1::2]), max(points[1::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def as_single(value: float) -> float:
    """Return a number as trainers hold it, in single precision: 1.0000000000000002 is 1 there."""
    if not abs(value) <= 4:  # far beyond any limit here, or not a number
        return value
    rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return rounded


_SINGLE: Final = struct.Struct("f")


def _number(field: bytes) -> float | None:
    try:
        return None if b"_" in field else float(field)
    except ValueError:
        return None


def _shown(field: bytes) -> str:
    """Return a field for a message: short and printable, whatever it holds."""
    return ascii(field[:24].decode("ascii", "backslashreplace"))[1:-1] + ("..." if len(field) > 24 else "")
