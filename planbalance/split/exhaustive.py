"""Few units: every placement that could be closer than what a search found, and the proof that there is no other.

All ways to fill one part (a bundle of positive and of negative units) are listed by their sums. Excesses sum to 0 over
the parts, so a placement is at least twice as far off as any of its parts: the distance that a search reached leaves
short lists. A closest placement is a choice of one bundle a part, disjoint; the largest part takes the rest.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from planbalance.split.draws import Draws
from planbalance.split.task import Task

# Ways to fill one part from one stratum, bundles of one part, and bundles looked at in all.
FILLINGS = 150_000
BUNDLES = 40_000
LOOKS = 1_500_000
# Placements that are handed back.
ANSWERS = 2_000

_SHIFT = 40  # positives << 40 | negatives: no data set has 2**40 slices
_LOW = (1 << _SHIFT) - 1


class Answer(NamedTuple):
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


def closest(task: Task, bound: int, draws: Draws, fillings: int) -> list[Answer] | None:
    """Return the closest placements no farther than `bound`, in random order; None where there is too much to look at.

    All of them up to `ANSWERS`; none if the bound is lower than what can be had.
    """
    answers = _answers(task, _Closest(bound), draws, fillings)
    if answers is not None:
        order = list(range(len(answers)))
        draws.shuffle(order)
        return [answers[index] for index in order]
    return None


def nearby(task: Task, bound: int, draws: Draws, fillings: int) -> list[Answer] | None:
    """Return the placements no farther than `bound`, the closest first; None where there is too much to look at.

    Up to `ANSWERS` of them: what is left out is not closer than the last one.
    """
    return _answers(task, _Nearby(bound), draws, fillings)


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
        if len(self.found) < ANSWERS:
            self.found.append((distance, bundles))


class _Nearby(_Closest):
    """Keeps all placements, and lowers the bound only where there are too many."""

    def add(self, distance: int, bundles: tuple[int, ...]) -> None:
        """Take a placement that is within the bound."""
        self.found.append((distance, bundles))
        if len(self.found) == 2 * ANSWERS:
            self.found.sort(key=lambda one: one[0])
            del self.found[ANSWERS:]
            self.bound = self.found[-1][0]


def _answers(task: Task, kept: _Closest, draws: Draws, fillings: int) -> list[Answer] | None:
    sizes = [sum(quotas[part] for quotas in task.quotas) for part in range(task.parts)]
    rest = sizes.index(max(sizes))
    lists = []
    for part in range(task.parts):
        if part != rest:
            bundles = _bundles(task, part, kept.bound, draws, fillings)
            if bundles is None:
                return None
            lists.append((part, bundles))
    lists.sort(key=lambda one: len(one[1]))
    walk = _Walk([bundles for _, bundles in lists], kept)
    if not walk.from_part(0, (), 0, 0, 0, 0):
        return None
    answers = []
    for distance, chosen in sorted(kept.found, key=lambda one: one[0]):
        part_of = [rest] * len(task.positives)
        for (part, _), units in zip(lists, chosen, strict=True):
            for unit in range(len(part_of)):
                if units >> unit & 1:
                    part_of[unit] = part
        answers.append(Answer(distance, part_of))
    return answers


def _bundles(task: Task, part: int, bound: int, draws: Draws, fillings: int) -> list[_Bundle] | None:
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
    draws.shuffle(order)
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
    """Return whether there are more than `limit` ways, without the number itself, which may have 20,000 digits."""
    ways = 1
    for step in range(min(chosen, count - chosen)):
        ways = ways * (count - step) // (step + 1)
        if ways > limit:
            return True
    return False


class _Walk:
    """Chooses a bundle for each part in turn."""

    def __init__(self, lists: Sequence[list[_Bundle]], kept: _Closest) -> None:
        self._lists = lists
        self._kept = kept
        self._looks = 0

    def from_part(self, index: int, chosen: tuple[int, ...], used: int, off: int, positive: int, negative: int) -> bool:
        """Go on with part number `index`; `off` is the distance of the parts before it. False: too much to look at."""
        kept = self._kept
        if index == len(self._lists):
            kept.add(off + abs(positive) + abs(negative), chosen)
            return True
        bundles = self._lists[index]
        self._looks += len(bundles)
        if self._looks > LOOKS:
            return False
        for own, above, over, units in bundles:
            if 2 * own > kept.bound:
                break
            # What the parts so far are off in sum, the parts to come must be off the other way.
            if (
                not units & used
                and off + own + abs(positive + above) + abs(negative + over) <= kept.bound
                and not self.from_part(
                    index + 1, (*chosen, units), used | units, off + own, positive + above, negative + over
                )
            ):
                return False
        return True
