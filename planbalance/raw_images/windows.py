"""The window of a volume: the values that become black and white in all its slices. Exact, and in bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from planbalance.import_model import Window
from planbalance.raw_images.grey import Coding, Plane, ValueCounts, counted_words, plain_values
from planbalance.raw_images.request import WindowRule

if TYPE_CHECKING:
    from planbalance.raw_images.grey import Array

_MERGED_FROM: Final = 1 << 20  # counts that are gathered before equal values are added up
_DIGIT: Final = 16  # bits of a double that one pass over all pixels decides


def stated_window(windows: Sequence[Window]) -> Window:
    """Return the one window of a volume whose files state several: the medians of centre and width, as they occur."""
    middle = (len(windows) - 1) // 2
    centre = sorted(window.low + (window.high - window.low) / 2 for window in windows)[middle]
    width = sorted(window.high - window.low for window in windows)[middle]
    return Window(centre - width / 2, centre + width / 2)


def window_of(planes: Callable[[], Iterable[Plane]], rule: WindowRule) -> Window:
    """Return the window of `percentile` or `minmax`, over all pixels that are no padding; 0 to 0 if there are none.

    Args:
        planes: yields all slices of the volume; called again where values are no indices of a table.
        rule: of n pixels in order of their values, `percentile` takes those of the ranks floor(low * (n - 1)) and
            ceil(high * (n - 1)), from 0.
    """
    shares = (Fraction(0), Fraction(1)) if rule.rule == "minmax" else (rule.low, rule.high)
    counter = _Counter()
    for plane in planes():
        counter.add(plane)
    if counter.plain:
        low, high = _select(planes, shares)
    else:
        low, high = _ranked(counter.counts(), shares)
    return Window(low, high)


def _ranks(shares: tuple[Fraction, Fraction], pixels: int) -> tuple[int, int]:
    """Return the two ranks, from 0: the lower one rounded down, the upper one rounded up."""
    low, high = shares[0] * (pixels - 1), shares[1] * (pixels - 1)
    return low.numerator // low.denominator, -(-high.numerator // high.denominator)


class _Counter:
    """Counts the words of planes; planes of one coding after each other share one table."""

    def __init__(self) -> None:
        self.plain = False  # whether a plane has words that are no indices
        self._coding: Coding | None = None
        self._words: Array | None = None
        self._counts: list[ValueCounts] = []
        self._gathered = 0

    def add(self, plane: Plane) -> None:
        import numpy as np

        coding = plane.coding
        if coding is None:
            return
        if not coding.bits:
            self.plain = True
        if self.plain:
            return
        if coding != self._coding:
            self._flush()
            self._coding = coding
        found = np.bincount(plane.words.ravel(), minlength=1 << coding.bits)
        self._words = found if self._words is None else self._words + found

    def _flush(self) -> None:
        """Turn the words of the last coding into values."""
        if self._coding is None or self._words is None:
            return
        self._counts.append(counted_words(self._coding, self._words))
        self._gathered += len(self._counts[-1].values)
        self._words = None
        if self._gathered > _MERGED_FROM:
            self._counts = [_merged(self._counts)]
            self._gathered = -_MERGED_FROM if len(self._counts[0].values) > _MERGED_FROM else 0

    def counts(self) -> ValueCounts:
        self._flush()
        return _merged(self._counts)


def _merged(counts: Sequence[ValueCounts]) -> ValueCounts:
    """Return the counts with each value once, in order."""
    import numpy as np

    if not counts:
        return ValueCounts(np.zeros(0), np.zeros(0, np.int64))
    all_values = np.concatenate([each.values for each in counts])
    values, places = np.unique(all_values, return_inverse=True)
    pixels = np.zeros(len(values), np.int64)
    np.add.at(pixels, places.ravel(), np.concatenate([each.pixels for each in counts]))
    return ValueCounts(values, pixels)


def _ranked(counts: ValueCounts, shares: tuple[Fraction, Fraction]) -> tuple[float, float]:
    import numpy as np

    upto = np.cumsum(counts.pixels)
    if not len(upto):
        return 0.0, 0.0
    low, high = (int(np.searchsorted(upto, rank, side="right")) for rank in _ranks(shares, int(upto[-1])))
    return float(counts.values[low]), float(counts.values[high])


# ---- values that are no indices: integers of 32 bits, floats ---------------------------------------------------------


def _select(planes: Callable[[], Iterable[Plane]], shares: tuple[Fraction, Fraction]) -> tuple[float, float]:
    """Return the values of two ranks among all pixels, from four passes of which each decides 16 bits of both values.

    A pass counts the next 16 bits of those values that agree with what is decided, so memory does not grow with n.
    """
    import numpy as np

    first = sum((_digits(_keys(plane), 64 - _DIGIT) for plane in planes()), np.zeros(1 << _DIGIT, np.int64))
    pixels = int(first.sum())
    if not pixels:
        return 0.0, 0.0
    decided = [_next_digit(first, 0, rank) for rank in _ranks(shares, pixels)]
    for shift in (32, 16, 0):
        tables = [np.zeros(1 << _DIGIT, np.int64) for _ in decided]
        for plane in planes():
            keys = _keys(plane)
            prefixes = keys >> np.uint64(shift + _DIGIT)
            for number, (prefix, _) in enumerate(decided):
                tables[number] += _digits(keys[prefixes == np.uint64(prefix)], shift)
        decided = [_next_digit(table, *each) for table, each in zip(tables, decided, strict=True)]
    low, high = (_value_of_key(prefix) for prefix, _ in decided)
    return low, high


def _next_digit(table: "Array", prefix: int, rank: int) -> tuple[int, int]:
    """Return the prefix with one more digit, and the rank among the values that have this longer prefix."""
    import numpy as np

    upto = np.cumsum(table)
    digit = int(np.searchsorted(upto, rank, side="right"))
    return prefix << _DIGIT | digit, rank - (int(upto[digit - 1]) if digit else 0)


def _digits(keys: "Array", shift: int) -> "Array":
    import numpy as np

    return np.bincount(((keys >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64), minlength=1 << _DIGIT)


def _keys(plane: Plane) -> "Array":
    """Return the values as unsigned integers of the same order: IEEE 754 doubles, with -0 as 0."""
    import numpy as np

    if plane.coding is None:
        return np.zeros(0, np.uint64)
    values = _all_values(plane) + 0.0
    bits = values.view(np.uint64)
    return np.where(values < 0, ~bits, bits | np.uint64(1 << 63))


def _all_values(plane: Plane) -> "Array":
    import numpy as np

    coding = plane.coding
    if coding is None or not coding.bits:
        return plain_values(plane)
    counts = counted_words(coding, np.bincount(plane.words.ravel(), minlength=1 << coding.bits))
    return np.repeat(counts.values, counts.pixels)


def _value_of_key(key: int) -> float:
    import numpy as np

    bits = key ^ (1 << 63) if key >> 63 else ~key & ((1 << 64) - 1)
    return float(np.array([bits], np.uint64).view(np.float64)[0])
