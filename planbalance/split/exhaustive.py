"""Enumerate every placement that could be closer than the one that a search found. It works for few units.

The result is proven to be the closest. A bundle is one way to fill one part: some positive and some negative units. All
bundles of a part are listed by the sums of their slices. Over the parts the excesses sum to 0, so a placement is at
least twice as far off as any of its parts; only bundles within half the distance of the search's placement are kept.
A placement is one bundle for each part but the largest, without common units; the largest part takes the other units.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from planbalance.split.rng import Rng
from planbalance.split.task import Task

# The most ways to fill one part from one stratum, bundles of one part, and bundles visited in all.
FILLINGS = 150_000
BUNDLES = 40_000
MOST_VISITS = 1_500_000
# The most placements that are returned.
MOST_SOLUTIONS = 6_000

_SHIFT = 40  # positives << 40 | negatives: no dataset has 2**40 slices
_LOW = (1 << _SHIFT) - 1


class Solution(NamedTuple):
    """One placement within the bound.

    Attributes:
        distance: to the targets, in slices.
        part_of: unit -> part.
    """

    distance: int
    part_of: list[int]


class _Bundle(NamedTuple):
    """One way to fill a part.

    Attributes:
        off: |positive| + |negative|.
        positive: positive slices above the target.
        negative: negative slices above the target.
        units: a bit for each unit.
    """

    off: int
    positive: int
    negative: int
    units: int


def closest(task: Task, bound: int, rng: Rng, fillings: int) -> list[Solution] | None:
    """Return the closest placements no farther than `bound`, in random order; None where there are too many to try.

    At most `MOST_SOLUTIONS`; an empty list where no placement is within the bound.
    """
    solutions = _solutions(task, _Closest(bound), rng, fillings)
    if solutions is not None:
        order = list(range(len(solutions)))
        rng.shuffle(order)
        return [solutions[index] for index in order]
    return None


def nearby(task: Task, bound: int, rng: Rng, fillings: int) -> list[Solution] | None:
    """Return the placements no farther than `bound`, the closest first; None where there are too many to try.

    At most `MOST_SOLUTIONS`; those left out are not closer than the last one.
    """
    return _solutions(task, _Nearby(bound), rng, fillings)


class _Closest:
    """Keeps the closest placements only."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.found: list[tuple[int, tuple[int, ...]]] = []

    def add(self, distance: int, bundles: tuple[int, ...]) -> None:
        """Take a placement that is within the bound."""
        if distance < self.bound:
            self.bound = distance
            self.found = []
        if len(self.found) < MOST_SOLUTIONS:
            self.found.append((distance, bundles))


class _Nearby(_Closest):
    """Keeps all placements, and lowers the bound only where there are too many."""

    def add(self, distance: int, bundles: tuple[int, ...]) -> None:
        """Take a placement that is within the bound."""
        self.found.append((distance, bundles))
        if len(self.found) == 2 * MOST_SOLUTIONS:
            self.found.sort(key=lambda one: one[0])
            del self.found[MOST_SOLUTIONS:]
            self.bound = self.found[-1][0]


def _solutions(task: Task, kept: _Closest, rng: Rng, fillings: int) -> list[Solution] | None:
    sizes = [sum(quotas[part] for quotas in task.quotas) for part in range(task.parts)]
    rest = sizes.index(max(sizes))
    lists = []
    for part in range(task.parts):
        if part != rest:
            bundles = _bundles(task, part, kept.bound, rng, fillings)
            if bundles is None:
                return None
            lists.append((part, bundles))
    lists.sort(key=lambda one: len(one[1]))
    walk = _Enumeration([bundles for _, bundles in lists], kept)
    if not walk.from_part(0, (), 0, 0, 0, 0):
        return None
    solutions = []
    for distance, chosen in sorted(kept.found, key=lambda one: one[0]):
        part_of = [rest] * len(task.positives)
        for (part, _), units in zip(lists, chosen, strict=True):
            for unit in range(len(part_of)):
                if units >> unit & 1:
                    part_of[unit] = part
        solutions.append(Solution(distance, part_of))
    return solutions


def _bundles(task: Task, part: int, bound: int, rng: Rng, fillings: int) -> list[_Bundle] | None:
    """Return the ways to fill a part that are off by half the bound at most, the nearest first, ties at random."""
    positive, negative = (_fillings(task, stratum, part, fillings) for stratum in (0, 1))
    if positive is None or negative is None:
        return None
    negative.sort()
    counts = [count for count, _ in negative]
    half = bound // 2
    bundles = []
    for sums, units in positive:
        above = task.excess[0][part] + (sums >> _SHIFT)
        room = half - abs(above)
        if room < 0:
            continue
        start = task.excess[1][part] + (sums & _LOW)
        for index in range(bisect_left(counts, -start - room), bisect_right(counts, room - start)):
            count, others = negative[index]
            bundles.append(_Bundle(abs(above) + abs(start + count), above, start + count, units | others))
        if len(bundles) > BUNDLES:
            return None
    order = list(range(len(bundles)))
    rng.shuffle(order)
    return sorted((bundles[index] for index in order), key=lambda bundle: bundle.off)


def _fillings(task: Task, stratum: int, part: int, limit: int) -> list[tuple[int, int]] | None:
    """Return (sums, units) for every choice of as many units of the stratum as the part wants."""
    units = task.strata[stratum]
    quota = task.quotas[stratum][part]
    if _more_choices(len(units), quota, limit):
        return None
    weights = [(task.positives[unit] << _SHIFT) + task.negatives[unit] for unit in units]
    bits = [1 << unit for unit in units]
    return list(zip(map(sum, combinations(weights, quota)), map(sum, combinations(bits, quota)), strict=True))


def _more_choices(count: int, chosen: int, limit: int) -> bool:
    """Return whether there are more than `limit` choices, without computing their number: it may have 20,000 digits."""
    ways = 1
    for step in range(min(chosen, count - chosen)):
        ways = ways * (count - step) // (step + 1)
        if ways > limit:
            return True
    return False


class _Enumeration:
    """Chooses a bundle for each part in turn."""

    def __init__(self, lists: Sequence[list[_Bundle]], kept: _Closest) -> None:
        self._lists = lists
        self._kept = kept
        self._visits = 0

    def from_part(self, index: int, chosen: tuple[int, ...], used: int, off: int, positive: int, negative: int) -> bool:
        """Choose bundles from part `index` on; `off` is the distance of the parts before. False: too many to try."""
        kept = self._kept
        if index == len(self._lists):
            kept.add(off + abs(positive) + abs(negative), chosen)
            return True
        bundles = self._lists[index]
        self._visits += len(bundles)
        if self._visits > MOST_VISITS:
            return False
        for own, above, over, units in bundles:
            if 2 * own > kept.bound:
                break
            # Excesses sum to 0 over the parts: the other parts are off by at least the sum of the chosen ones.
            if (
                not units & used
                and off + own + abs(positive + above) + abs(negative + over) <= kept.bound
                and not self.from_part(
                    index + 1, (*chosen, units), used | units, off + own, positive + above, negative + over
                )
            ):
                return False
        return True
