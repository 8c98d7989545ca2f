"""What the page's plots show, before anything is drawn: values counted into bins, and their quartiles."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

MOST_BINS: Final = 24


class Bar(NamedTuple):
    """One bar of a histogram: how many values are whole numbers from `low` to `high`."""

    low: int
    high: int
    number: int


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
    """The same bins for several splits.

    Attributes:
        low: the least value of the first bin.
        width: whole numbers in each bin.
        bins: how many there are.
        rows: one for each split.
    """

    low: int
    width: int
    bins: int
    rows: tuple[Row, ...]

    def table(self) -> Iterator[tuple[int, int, list[int]]]:
        """Yield every bin: its least and greatest value, and how many of each split lie in it."""
        numbers = [{bar.low: bar.number for bar in row.bars} for row in self.rows]
        for low in range(self.low, self.low + self.bins * self.width, self.width):
            yield low, low + self.width - 1, [of_split.get(low, 0) for of_split in numbers]


def histogram(values: Mapping[str, Sequence[int]]) -> Histogram | None:
    """Return the histogram of whole numbers by name, or None where there is no value at all."""
    present = [value for each in values.values() for value in each]
    if not present:
        return None
    low, width, bins = nice_bins(min(present), max(present))
    return Histogram(low, width, bins, tuple(_row(name, each, low, width) for name, each in values.items()))


def _row(name: str, values: Sequence[int], low: int, width: int) -> Row:
    counts = Counter((value - low) // width for value in values)
    bars = tuple(Bar(low + at * width, low + (at + 1) * width - 1, counts[at]) for at in sorted(counts))
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
