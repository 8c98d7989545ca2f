"""The least deviation of the boxes of one class that any split can have: a lower bound for each class alone.

A part holds a number of the class's units and the sum of their boxes. Which sums can be reached is computed with one
integer for each number of units, used as a set of bits: bit s is set where s boxes can be reached. All other classes,
and the slices, are left out of account, so the true least deviation may be higher, never lower.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import comb, floor, gcd

# The most work (units x units in a part x boxes / 64); above it every multiple of the common divisor is reachable.
MOST_WORK = 4_000_000
# The most pairs (boxes of one part, boxes of another) to examine together, and the most ways to choose the units of two
# parts.
MOST_PAIRS = 1_000_000
MOST_WAYS = 20_000


def class_floor(boxes: Sequence[int], ranges: Sequence[tuple[int, int]], shares: Sequence[Fraction]) -> Decimal:
    """Return a lower bound of the worst deviation, in percentage points rounded down to three places.

    Args:
        boxes: the boxes of the class in each unit that has it.
        ranges: part -> least and most units with the class.
        shares: part -> its share; they sum to 1.
    """
    total = sum(boxes)
    worst = max(
        _nearest(_reachable(boxes, least, most), share * total)
        for (least, most), share in zip(ranges, shares, strict=True)
    )
    if len(shares) == 3 and comb(len(boxes), ranges[1][1]) * comb(len(boxes), ranges[2][1]) <= MOST_WAYS:
        worst = max(worst, _within_ranges(boxes, ranges, shares))
    elif len(shares) == 3 and len(boxes) * total * total <= MOST_PAIRS:
        worst = max(worst, _together(boxes, shares))
    return Decimal(floor(worst / total * 100_000)).scaleb(-3)


def _reachable(boxes: Sequence[int], least: int, most: int) -> tuple[int, int]:
    """Return the reachable sums as bits, and 1; or 0 and the step between sums where there is too much to examine."""
    total = sum(boxes)
    few = min(most, len(boxes) - least)  # sums of few units, or the total less the sums of few that are left out
    if len(boxes) * (few + 1) * (total // 64 + 1) > MOST_WORK:
        return 0, gcd(*boxes)
    low, high = (least, most) if few == most else (len(boxes) - most, len(boxes) - least)
    sums = [1, *[0] * high]
    for amount in boxes:
        for count in range(high, 0, -1):
            sums[count] |= sums[count - 1] << amount
    bits = 0
    for count in range(low, high + 1):
        bits |= sums[count]
    if few != most:  # mirrored: total - s is reached by the units that stay
        bits = int(f"{bits:0{total + 1}b}"[::-1], 2)
    return bits, 1


def _nearest(reachable: tuple[int, int], ideal: Fraction) -> Fraction:
    """Return the distance from the ideal to the nearest reachable sum."""
    bits, step = reachable
    whole = floor(ideal)
    if not bits:
        below = ideal - whole // step * step
        return min(below, step - below)
    lower = bits & ((1 << (whole + 1)) - 1)
    higher = bits >> (whole + 1)
    distances = []
    if lower:
        distances.append(ideal - (lower.bit_length() - 1))
    if higher:
        distances.append(whole + 1 + ((higher & -higher).bit_length() - 1) - ideal)
    return min(distances, default=Fraction(0))


def _within_ranges(boxes: Sequence[int], ranges: Sequence[tuple[int, int]], shares: Sequence[Fraction]) -> Fraction:
    """Return the least worst distance over three parts together, each with a number of units in its range."""
    total = sum(boxes)
    (least, most), (least_middle, most_middle), (least_last, most_last) = ranges
    found = {(0, 0, 0, 0)}  # (units, boxes) of the middle part and of the last one
    for amount in boxes:
        found |= {
            more
            for units, held, units_last, held_last in found
            for more in (
                (units + 1, held + amount, units_last, held_last),
                (units, held, units_last + 1, held_last + amount),
            )
            if more[0] <= most_middle and more[2] <= most_last
        }
    first, middle, last = (share * total for share in shares)
    return min(
        (
            max(abs(total - held - held_last - first), abs(held - middle), abs(held_last - last))
            for units, held, units_last, held_last in found
            if units >= least_middle and units_last >= least_last and least <= len(boxes) - units - units_last <= most
        ),
        default=Fraction(0),
    )


def _together(boxes: Sequence[int], shares: Sequence[Fraction]) -> Fraction:
    """Return the least worst distance over three parts together, however many units each holds."""
    total = sum(boxes)
    rows = [0] * (total + 1)  # sum of the last part -> the sums of the part before, as bits
    rows[0] = 1
    for amount in boxes:
        for last in range(total, -1, -1):
            rows[last] |= rows[last] << amount | (rows[last - amount] if last >= amount else 0)
    first, middle, third = (share * total for share in shares)
    best = Fraction(total)
    for last, bits in enumerate(rows):
        off = abs(last - third)
        if bits and off < best:
            for count in range(total - last + 1):
                if bits >> count & 1:
                    best = min(best, max(off, abs(count - middle), abs(total - last - count - first)))
    return best
