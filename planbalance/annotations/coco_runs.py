"""Run-length encoded masks of COCO -> the box around them, without making the mask.

A mask is stored column by column: `size` is [height, width], and `counts` are the lengths of runs, alternately outside
and inside of the object, beginning outside. They are a list of numbers, or the text that the COCO API writes
(`rleToString` in common/maskApi.c of https://github.com/cocodataset/cocoapi): 5 bits a letter from `0` on, and from the
fourth run on the difference to the run before the last one.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from planbalance.annotations.drafts import NoGeometryError, UnreadableError, box_of_corners, shown, whole_of
from planbalance.import_model import Box

_LARGEST: Final = 1_000_000  # of a side, in pixels
_MOST_LETTERS: Final = 7  # of one run: 35 bits


def box_of_runs(size: object, counts: object) -> Box:
    """Return the box around the pixels of a mask; runs of length 0 mark nothing.

    Raises:
        UnreadableError: the runs do not fill an image of this size, or are no runs.
        NoGeometryError: no pixel is marked.
    """
    if not isinstance(size, list) or len(size) != 2:
        raise UnreadableError("size of the mask is not [height, width]")
    height, width = (whole_of(one, "size of the mask") for one in size)
    if not (0 < height <= _LARGEST and 0 < width <= _LARGEST):
        raise UnreadableError(f"the size of the mask is {width} x {height}")
    if isinstance(counts, str):
        runs: Iterable[int] = _decompressed(counts)
    elif isinstance(counts, list):
        runs = map(_run, counts)
    else:
        raise UnreadableError("counts of the mask are neither a list nor a text")
    return _box(runs, height, width)


def _run(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableError(f"length of a run is no whole number: {shown(value)}")
    return value


def _box(runs: Iterable[int], height: int, width: int) -> Box:
    left, right, top, bottom = width, 0, height, 0
    place = 0
    inside = False
    for run in runs:
        if run < 0 or place + run > height * width:
            raise UnreadableError("the runs of the mask do not fit its size")
        if inside and run:
            (first, above), (last, below) = divmod(place, height), divmod(place + run - 1, height)
            left, right = min(left, first), max(right, last + 1)
            top, bottom = (0, height) if first != last else (min(top, above), max(bottom, below + 1))
        place += run
        inside = not inside
    if place != height * width:
        raise UnreadableError("the runs of the mask do not fit its size")
    if right == 0:
        raise NoGeometryError("its mask marks no pixel")
    return box_of_corners(Decimal(left), Decimal(top), Decimal(right), Decimal(bottom))


def _decompressed(text: str) -> Iterable[int]:
    """Yield the runs that a text holds."""
    older, old = 0, 0  # the last but one run, and the last
    value = shift = count = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift >= 5 * _MOST_LETTERS:
            raise UnreadableError("counts of the mask are no text of run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        run = value + (older if count > 2 else 0)
        yield run
        older, old = old, run
        count += 1
        value = shift = 0
    if shift:
        raise UnreadableError("counts of the mask end too early")
