"""How far off a sensitivity may be that is measured on the positive patients of one split. Pure.

The sensitivity of a detector is the share of the positive patients that it finds. Measured on few patients, it may be
far from its true value by chance alone. The score interval of Wilson says how far: of 100 such intervals, about 95 hold
the true value. It holds for few patients and for shares near 1 too, where an interval of plus and minus two standard
errors does not.

Where patients are not known, volumes are counted in their place; each is then taken for a patient of its own.

Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
Statistical Association 22 (1927), 209-212.
"""

from functools import cache
from math import ceil, sqrt
from typing import Final, NamedTuple

from planbalance.text import counted

MEASURED: Final = 85  # percent: the sensitivity that is taken for an example
CONFIDENCE: Final = 95  # percent
WITHIN: Final = 10  # percentage points
_Z: Final = 1.959964  # 97.5 % of a standard normal distribution lies below


class Interval(NamedTuple):
    """What a measured sensitivity of `MEASURED` percent says of the true one.

    Attributes:
        lower: the lower end of the interval, in percent.
        upper: the upper end, in percent.
    """

    lower: float
    upper: float

    @property
    def distance(self) -> float:
        """How far the farther end is from the measured value, in percentage points."""
        return max(MEASURED - self.lower, self.upper - MEASURED)

    @property
    def off(self) -> int:
        """The distance in whole percentage points, rounded up."""
        return ceil(self.distance)


def interval(positives: int) -> Interval | None:
    """Return the interval where a split has so many positive patients; None where it has none."""
    if positives < 1:
        return None
    share, squared = MEASURED / 100, _Z * _Z
    whole = 1 + squared / positives
    middle = (share + squared / (2 * positives)) / whole
    half = _Z / whole * sqrt(share * (1 - share) / positives + squared / (4 * positives * positives))
    return Interval(100 * (middle - half), 100 * (middle + half))


@cache
def patients_needed() -> int:
    """Return how many positive patients bring both ends of the interval within `WITHIN` points; with more they stay."""
    number = 1
    while (found := interval(number)) is not None and found.distance > WITHIN:
        number += 1
    return number


def sentence(split: str, positives: int, noun: str) -> str:
    """Return what a split can tell, for a person; `noun` is what is counted, such as `patient`."""
    found = interval(positives)
    if found is None:
        return f"{split.capitalize()} has no positive {noun}: a sensitivity cannot be measured."
    may = f"a sensitivity of {MEASURED} % may be off by up to {counted(found.off, 'point')} ({CONFIDENCE} %)"
    return f"{split.capitalize()} has {counted(positives, f'positive {noun}')}: {may}."


def needed_sentence(noun: str) -> str:
    """Return how many positive patients a split needs, for a person."""
    return f"For at most {counted(WITHIN, 'point')}, a split needs {counted(patients_needed(), f'positive {noun}')}."
