"""A box -> the line of a YOLO label file: clipped to the image, then centre and size as shares of it, 6 decimals.

The arithmetic is exact: a float stands for the shortest decimal number that it is written as, and the shares are
fractions. They are rounded once, a tie to the even digit, so that the text is the same on every machine.
"""

from decimal import Decimal
from typing import Final, Literal, NamedTuple

from planbalance.import_model import Box

_PARTS: Final = 10**6


class ClipFault(NamedTuple):
    """Why a box cannot be used.

    Attributes:
        fate: what becomes of it.
        reason: in a few words.
    """

    fate: Literal["degenerate", "outside"]
    reason: str


def clip(box: Box, width: int, height: int) -> Box | ClipFault:
    """Return the part of a box that lies in an image of this size, in pixels, or why there is none.

    A box that would be written with a width or height of 0.000000 has none either.
    """
    if box.right <= box.left or box.bottom <= box.top:
        return ClipFault("degenerate", f"it goes from {_point(box.left, box.top)} to {_point(box.right, box.bottom)}")
    clipped = Box(max(box.left, 0.0), max(box.top, 0.0), min(box.right, float(width)), min(box.bottom, float(height)))
    if clipped.right <= clipped.left or clipped.bottom <= clipped.top:
        return ClipFault("outside", f"the image is {width} x {height}, and it begins at {_point(box.left, box.top)}")
    if _vanishes(clipped.left, clipped.right, width) or _vanishes(clipped.top, clipped.bottom, height):
        fate: Literal["degenerate", "outside"] = "degenerate" if clipped == box else "outside"
        return ClipFault(fate, "less than a millionth of the image is left of it")
    return clipped


def _vanishes(start: float, end: float, size: int) -> bool:
    return end - start < size / _PARTS and _shares(start, end, size)[1] == "0.000000"


def yolo_line(class_id: int, box: Box, width: int, height: int) -> str:
    """Return the line of a box that was clipped: class, centre x, centre y, width, height."""
    (centre_x, wide), (centre_y, high) = _shares(box.left, box.right, width), _shares(box.top, box.bottom, height)
    return f"{class_id} {centre_x} {centre_y} {wide} {high}\n"


def _shares(start: float, end: float, size: int) -> tuple[str, str]:
    """Return centre and length of a part of a side of this size."""
    (first, under), (last, below) = _exact(start), _exact(end)
    whole = under * below * size
    return _six_decimals(last * under + first * below, 2 * whole), _six_decimals(last * under - first * below, whole)


def _exact(value: float) -> tuple[int, int]:
    """Return the shortest decimal number of a float as a fraction."""
    return (int(value), 1) if value == int(value) else Decimal(repr(value)).as_integer_ratio()


def _six_decimals(numerator: int, denominator: int) -> str:
    parts, rest = divmod(numerator * _PARTS, denominator)
    parts += 2 * rest > denominator or (2 * rest == denominator and parts % 2)
    return f"{parts // _PARTS}.{parts % _PARTS:06d}"


def _point(x: float, y: float) -> str:
    return f"({x:g}, {y:g})"
