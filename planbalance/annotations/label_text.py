"""A box -> the line of a YOLO label file: clipped to the image, then centre and size as shares of it, 6 decimals.

The arithmetic is exact: a float stands for the shortest decimal number that it is written as, and the shares are
fractions. They are rounded once, a tie to the even digit, so that the text is the same on every machine.
"""

from decimal import Decimal
from fractions import Fraction
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
    if "0.000000" in _shares(clipped, width, height)[2:]:
        fate: Literal["degenerate", "outside"] = "degenerate" if clipped == box else "outside"
        return ClipFault(fate, "less than a millionth of the image is left of it")
    return clipped


def yolo_line(class_id: int, box: Box, width: int, height: int) -> str:
    """Return the line of a box that was clipped: class, centre x, centre y, width, height."""
    return f"{class_id} {' '.join(_shares(box, width, height))}\n"


def _shares(box: Box, width: int, height: int) -> tuple[str, str, str, str]:
    left, top, right, bottom = map(_exact, box)
    return (
        _six_decimals((left + right) / (2 * width)),
        _six_decimals((top + bottom) / (2 * height)),
        _six_decimals((right - left) / width),
        _six_decimals((bottom - top) / height),
    )


def _exact(value: float) -> Fraction:
    return Fraction(Decimal(repr(value)))


def _six_decimals(share: Fraction) -> str:
    whole, parts = divmod(round(share * _PARTS), _PARTS)
    return f"{whole}.{parts:06d}"


def _point(x: float, y: float) -> str:
    return f"({x:g}, {y:g})"
