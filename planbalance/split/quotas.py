"""Compute how many units and slices each part should get.

A part is train, val or test, or one of K folds. Fixed units are counted first; they never move.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, product
from math import ceil, comb, floor

from planbalance.apportion import largest_remainder

Ratios = Sequence[Decimal | Fraction | int]
Quotas = tuple[tuple[int, ...], tuple[int, ...]]
"""Stratum -> part -> units."""

# The most choices of quotas that are tried beside the usual ones, and the most ways to round one stratum.
MOST_OTHERS = 12
MOST_ROUNDINGS = 30


def unit_quotas(counts: Sequence[int], ratios: Ratios) -> list[tuple[int, ...]]:
    """Return the units per part of each stratum, `counts` units in the positive stratum and in the negative one.

    Quotas follow largest remainder. Where a stratum has at least as many units as there are non-zero ratios, a part
    whose quota would be 0 takes one from the largest. Where there are enough units in all, no part stays empty.
    """
    return _at_least_one(counts, [list(largest_remainder(count, ratios)) for count in counts], ratios)


def _at_least_one(counts: Sequence[int], quotas: list[list[int]], ratios: Ratios) -> list[tuple[int, ...]]:
    """Return the quotas after parts that would have no unit took one."""
    wanted = [part for part, ratio in enumerate(ratios) if ratio > 0]
    nothing = (0,) * len(ratios)
    for stratum, count in zip(quotas, counts, strict=True):
        if count >= len(wanted):
            _one_each(stratum, nothing, wanted)
    _no_part_empty(quotas, nothing, wanted)
    return [tuple(stratum) for stratum in quotas]


def other_quotas(counts: Sequence[int], ratios: Ratios) -> list[Quotas]:
    """Return what the quotas may be instead of `unit_quotas`: every part gets floor or ceil of its share.

    At most `MOST_OTHERS`: first those whose parts have, over both strata, most nearly their share of all units.
    """
    shares = exact_shares(ratios)
    usual = unit_quotas(counts, ratios)
    found: dict[Quotas, tuple[Fraction, int]] = {}
    for positive, negative in product(*(_roundings(count, shares) for count in counts)):
        quotas = _at_least_one(counts, [list(positive), list(negative)], ratios)
        off = sum(
            abs(sum(units) - share * sum(counts))
            for units, share in zip(zip(*quotas, strict=True), shares, strict=True)
        )
        shift = sum(abs(a - b) for both in zip(quotas, usual, strict=True) for a, b in zip(*both, strict=True))
        if shift:
            found.setdefault((quotas[0], quotas[1]), (off, shift))
    return sorted(found, key=lambda quotas: (*found[quotas], quotas))[:MOST_OTHERS]


def _roundings(count: int, shares: Sequence[Fraction]) -> Iterator[tuple[int, ...]]:
    """Yield every way to round the shares of `count` units up or down to whole numbers that sum to `count`.

    Where there are too many ways, parts that follow each other are rounded up.
    """
    down = [floor(share * count) for share in shares]
    uneven = [part for part, share in enumerate(shares) if (share * count).denominator > 1]
    left = count - sum(down)
    ways: Iterable[Sequence[int]] = combinations(uneven, left)
    if comb(len(uneven), left) > MOST_ROUNDINGS:
        ways = [[uneven[(first + step) % len(uneven)] for step in range(left)] for first in range(len(uneven))]
    for up in ways:
        yield tuple(amount + (part in up) for part, amount in enumerate(down))


def group_ranges(count: int, ratios: Ratios) -> tuple[tuple[int, int], ...]:
    """Return (least, most) of `count` units with one class or trait value that each part should hold.

    That is floor and ceil of the unit's share. With at least as many units as non-zero ratios, each such part should
    hold at least one; where this asks for more than there are, the least of the largest part is lower.
    """
    shares = exact_shares(ratios)
    quotas, _ = unit_quotas((count, 0), ratios)
    ranges = []
    for share, quota in zip(shares, quotas, strict=True):
        ideal = share * count
        ranges.append((min(quota, floor(ideal)), max(quota, ceil(ideal))))
    if count >= sum(share > 0 for share in shares):
        ranges = [(max(least, min(quota, 1)), most) for (least, most), quota in zip(ranges, quotas, strict=True)]
    return tuple(ranges)


def exact_shares(ratios: Ratios) -> tuple[Fraction, ...]:
    """Return the ratios as fractions that sum to 1."""
    shares = [Fraction(ratio) for ratio in ratios]
    whole = sum(shares)
    return tuple(share / whole for share in shares)


def quotas_left(quotas: Sequence[Sequence[int]], fixed: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the units per part of each stratum that are still to be placed, never negative.

    `fixed` holds, as `quotas`, counts per stratum and part. Where a part holds more than its quota, the others get
    fewer, in proportion to what they lack; a part that could have a unit is not left without one.
    """
    left = []
    for wanted, have in zip(quotas, fixed, strict=True):
        stratum = list(amounts_left(wanted, have))
        _one_each(stratum, have, [part for part, want in enumerate(wanted) if want > 0])
        left.append(stratum)
    taken = [sum(column) for column in zip(*fixed, strict=True)]
    _no_part_empty(left, taken, [part for part, column in enumerate(zip(*quotas, strict=True)) if any(column)])
    return [tuple(stratum) for stratum in left]


def amounts_left(wanted: Sequence[int], fixed: Sequence[int]) -> tuple[int, ...]:
    """Return the amount of each part that is still to be placed; `wanted` and `fixed` count the same things.

    Where no part holds more than wanted, that is `wanted - fixed`. Otherwise the other parts share the rest in
    proportion to what they lack.
    """
    lacking = [max(0, want - have) for want, have in zip(wanted, fixed, strict=True)]
    return largest_remainder(sum(wanted) - sum(fixed), lacking)


def _one_each(stratum: list[int], taken: Sequence[int], wanted: Sequence[int]) -> None:
    for part in wanted:
        largest = max(stratum)
        if stratum[part] + taken[part] == 0 and largest > 1:
            stratum[stratum.index(largest)] -= 1
            stratum[part] = 1


def _no_part_empty(quotas: Sequence[list[int]], taken: Sequence[int], wanted: Sequence[int]) -> None:
    """Let an empty part take a unit from the fullest cell, negative ones first: train keeps a single positive."""
    for part in wanted:
        if taken[part] + sum(stratum[part] for stratum in quotas) == 0:
            spare = [
                (count, index, -giver)
                for index, stratum in enumerate(quotas)
                for giver, count in enumerate(stratum)
                if count and taken[giver] + sum(other[giver] for other in quotas) > 1
            ]
            if spare:
                _, index, giver = max(spare)
                quotas[index][-giver] -= 1
                quotas[index][part] += 1
