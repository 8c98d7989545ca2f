"""Geometry of the page's plots, without a mark-up of its own: bins, quartiles, bars as shares of a width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

MOST_BINS: Final = 24


class Bar(NamedTuple):
    """One bar of a histogram: `height` is the share of its highest neighbour, 0 to 1."""

    position: int
    height: float
    number: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Row:
    """One split's histogram.

    Attributes:
        name: the split.
        total: how many values it holds.
        bars: only those that are not empty.
        quartiles: least, lower quartile, median, upper quartile, greatest; None where there is no value.
    """

    name: str
    total: int
    bars: tuple[Bar, ...]
    quartiles: tuple[int, int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class Histogram:
    """The same bins for several splits, heights as shares of each split: what is compared is the shape.

    Attributes:
        bins: how many there are.
        ticks: a few values with their places, in bins: the edges between bins, or the middle of bins of one value.
        rows: one a split.
    """

    bins: int
    ticks: tuple[tuple[float, int], ...]
    rows: tuple[Row, ...]


def histogram(values: Mapping[str, Sequence[int]]) -> Histogram | None:
    """Return the histogram of whole numbers by name, or None where there is no value at all."""
    present = [value for each in values.values() for value in each]
    if not present:
        return None
    low, width, bins = nice_bins(min(present), max(present))
    counts = {name: _counted(each, low, width, bins) for name, each in values.items()}
    tallest = max(max(counts[name]) / len(each) for name, each in values.items() if each)
    rows = tuple(_row(name, values[name], counts[name], tallest, (low, width)) for name in values)
    return Histogram(bins, _ticks(low, width, bins), rows)


def _ticks(low: int, width: int, bins: int) -> tuple[tuple[float, int], ...]:
    step = max(1, -(-bins // 6))
    if width == 1:
        return tuple((index + 0.5, low + index) for index in range(0, bins, step))
    return tuple((index, low + index * width) for index in range(0, bins + 1, step))


def _counted(values: Sequence[int], low: int, width: int, bins: int) -> list[int]:
    counts = [0] * bins
    for value in values:
        counts[(value - low) // width] += 1
    return counts


def _row(name: str, values: Sequence[int], counts: Sequence[int], tallest: float, scale: tuple[int, int]) -> Row:
    low, width = scale
    bars = tuple(
        Bar(index, round(count / len(values) / tallest, 4), count, low + index * width, low + (index + 1) * width - 1)
        for index, count in enumerate(counts)
        if count
    )
    return Row(name, len(values), bars, quartiles(values))


def nice_bins(least: int, greatest: int) -> tuple[int, int, int]:
    """Return (where the first bin begins, the bins' width, how many) with widths of 1, 2 or 5 times a power of ten.

    At most 24 bins, all values inside.
    """
    width = 1
    while True:
        for factor in (1, 2, 5):
            step = width * factor
            low = least // step * step
            bins = (greatest - low) // step + 1
            if bins <= MOST_BINS:
                return low, step, bins
        width *= 10


def quartiles(values: Sequence[int]) -> tuple[int, int, int, int, int] | None:
    """Return least, lower quartile, median, upper quartile, greatest by the nearest-rank method: values that occur."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    q = [ordered[(last * part + 2) // 4] for part in range(5)]
    return q[0], q[1], q[2], q[3], q[4]


def shares(parts: Sequence[int], whole: int) -> tuple[tuple[float, float], ...]:
    """Return (begin, width) in percent of each part when they stand side by side in a bar of `whole`."""
    begin = 0
    found = []
    for part in parts:
        found.append((round(100 * begin / whole, 3), round(100 * part / whole, 3)) if whole else (0.0, 0.0))
        begin += part
    return tuple(found)
