"""From stored words to values, and from values to 8-bit grey, the same to the bit on every machine.

A slice as stored is a `Plane`: an array of words, and a `Coding` that says which value each word stands for. Words of 8
or 16 bits go through tables of all words, which are computed once for each coding and window. All arithmetic is in
IEEE 754 double precision, one operation at a time, so that its results do not depend on the machine or library.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance.import_model import Window

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_TABLES: Final = 32  # tables that are kept: 512 KiB each at most
WHITE: Final = 255


class ModalityLut(NamedTuple):
    """A table from stored values to values (DICOM PS3.3 C.11.1).

    Attributes:
        first: the stored value of its first entry; lower ones have this entry, and those after its end the last one.
        entries: its values.
    """

    first: int
    entries: tuple[int, ...]


class Coding(NamedTuple):
    """Which value each word of a plane stands for.

    Attributes:
        bits: of a word: 8 or 16; 0 where words are no indices but integers of more bits, or floats.
        stored: how many of these bits count, from the lowest.
        signed: whether the highest of them is a sign.
        slope: a value is the stored value times this, plus `intercept`.
        intercept: likewise.
        lut: takes the place of slope and intercept.
        padding: the lowest and the highest stored value of pixels that hold no picture, and have no part in windows.
        inverted: whether low values are white (MONOCHROME1).
    """

    bits: int
    stored: int = 0
    signed: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    lut: ModalityLut | None = None
    padding: tuple[float, float] | None = None
    inverted: bool = False


class Plane(NamedTuple):
    """A slice as stored.

    Attributes:
        words: rows and columns; where there is no coding, 8-bit grey, or rows, columns and three colours.
        coding: what the words stand for; None: they are 8-bit pixels already.
    """

    words: "Array"
    coding: Coding | None


class ValueCounts(NamedTuple):
    """How often values occur: `values` in any order, also twice, and the number of pixels of each."""

    values: "Array"
    pixels: "Array"


def value_table(coding: Coding) -> "Array":
    """Return the value of each word of 8 or 16 bits, as doubles."""
    return _scaled(_stored_values(coding), coding)


def counted_words(coding: Coding, pixels_of_words: "Array") -> ValueCounts:
    """Return how often finite values occur, where `pixels_of_words` counts each word; padding is left out."""
    import numpy as np

    pixels = pixels_of_words
    if coding.padding is not None:
        stored = _stored_values(coding)
        pixels = np.where((stored >= coding.padding[0]) & (stored <= coding.padding[1]), 0, pixels)
    values = value_table(coding)
    found = np.flatnonzero((pixels > 0) & np.isfinite(values))
    return ValueCounts(values[found], pixels[found])


def plain_values(plane: Plane) -> "Array":
    """Return the finite values of a plane whose words are no indices, as one row of doubles, without padding."""
    import numpy as np

    coding = _coding(plane)
    stored = plane.words.ravel().astype(np.float64)
    if coding.padding is not None:
        stored = stored[(stored < coding.padding[0]) | (stored > coding.padding[1])]
    if coding.lut is not None:
        stored = stored[np.isfinite(stored)]
    values = _scaled(stored, coding)
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def to_grey(plane: Plane, window: Window) -> "Array":
    """Return a plane as 8-bit grey: floor((value - low) * 255 / (high - low) + 0.5), between 0 and 255.

    Where `low` and `high` are one value, higher values are white. What is not a number is black. Inversion comes last.
    """
    import numpy as np

    coding = _coding(plane)
    if coding.bits:
        return np.take(_grey_table(coding, window), plane.words)
    return _windowed(_scaled(plane.words.astype(np.float64), coding), window, inverted=coding.inverted)


@lru_cache(maxsize=_TABLES)
def _grey_table(coding: Coding, window: Window) -> "Array":
    return _windowed(value_table(coding), window, inverted=coding.inverted)


def _windowed(values: "Array", window: Window, *, inverted: bool) -> "Array":
    import numpy as np

    low, high = np.float64(window.low), np.float64(window.high)
    with np.errstate(all="ignore"):  # values may be infinite, or no numbers
        if low < high:
            grey = np.floor((values - low) * np.float64(WHITE) / (high - low) + np.float64(0.5))
        else:
            grey = np.where(values > high, np.float64(WHITE), np.float64(0))
        grey = np.where(np.isnan(grey), np.float64(0), np.clip(grey, 0, WHITE)).astype(np.uint8)
    return WHITE - grey if inverted else grey


def _stored_values(coding: Coding) -> "Array":
    """Return the stored value of each word: the bits that count, with their sign."""
    import numpy as np

    stored = np.arange(1 << coding.bits, dtype=np.int64) & ((1 << coding.stored) - 1)
    if coding.signed:
        stored -= (stored >> (coding.stored - 1)) << coding.stored
    return stored


def _scaled(stored: "Array", coding: Coding) -> "Array":
    import numpy as np

    if coding.lut is not None:
        entries = np.array(coding.lut.entries, dtype=np.float64)
        at = np.clip(np.nan_to_num(stored) - coding.lut.first, 0, len(entries) - 1).astype(np.int64)
        mapped: Array = entries[at]
        return mapped
    values = stored.astype(np.float64)
    with np.errstate(all="ignore"):  # a float may become infinite
        if coding.slope != 1:
            values = values * np.float64(coding.slope)
        return values + np.float64(coding.intercept) if coding.intercept else values


def _coding(plane: Plane) -> Coding:
    if plane.coding is None:
        raise ValueError("8-bit pixels have no coding")
    return plane.coding
