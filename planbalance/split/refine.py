"""Divide classes and trait values more evenly without changing the number of slices in any part.

A move is a swap of two units of equal size, or up to three swaps whose changes add up to 0.
"""

from collections.abc import Sequence

from planbalance.split.balance import Counts
from planbalance.split.rng import Rng
from planbalance.split.task import Task

# Moves tried for each unit, and the most in all: while worse placements are accepted, and of strict improvement.
ANNEALING_MOVES = 100, 40_000
IMPROVING_MOVES = 20, 10_000
# How much worse a move may be at first, in percentage points of the boxes of a class.
HEAT = 8.0
# How many swaps are drawn to compensate for another one.
COMPENSATIONS = 12


def refine(task: Task, counts: Counts, part_of: list[int], rng: Rng, *, heated: bool) -> None:
    """Improve `part_of` in place; its slices per part and its quotas stay. `counts` are kept up to date.

    `heated`: worse placements are accepted at first, less and less. Otherwise every move is an improvement.
    """
    moves = _Moves(task, part_of, counts, rng)
    if heated:
        steps = min(ANNEALING_MOVES[0] * len(part_of), ANNEALING_MOVES[1])
        for step in range(steps):
            left = 1 - step / steps
            moves.try_one(HEAT * left * left * left * rng.random())
    for _ in range(min(IMPROVING_MOVES[0] * len(part_of), IMPROVING_MOVES[1])):
        moves.try_one(0.0)


class _Moves:
    """Draws moves that do not change the number of slices in any part, and makes those that are good enough."""

    def __init__(self, task: Task, part_of: list[int], counts: Counts, rng: Rng) -> None:
        self._task = task
        self._part_of = part_of
        self._counts = counts
        self._below = rng.below
        self._stratum = [0 if count else 1 for count in task.positives]
        self._cells: list[list[list[int]]] = [[[] for _ in range(task.parts)] for _ in task.strata]
        self._place = [0] * len(part_of)
        for unit, part in enumerate(part_of):
            cell = self._cells[self._stratum[unit]][part]
            self._place[unit] = len(cell)
            cell.append(unit)
        holders: list[list[int]] = [[] for _ in counts.weights]
        for unit, pairs in enumerate(counts.amounts):
            for feature, _ in pairs:
                holders[feature].append(unit)
        self._holders = [units for units in holders if units]
        self._of_positives = _index(task.positives)
        self._sizes = [(count << 40) + more for count, more in zip(task.positives, task.negatives, strict=True)]
        self._of_size = _index(self._sizes)

    def try_one(self, heat: float) -> None:
        """Draw one move, and make it if it costs less than `heat`, in percentage points."""
        a, b = self._pair()
        here, there = self._part_of[a], self._part_of[b]
        if here == there or self._stratum[a] != self._stratum[b]:
            return
        swaps = [(a, b)]
        if self._counts.change(swaps, here, there) >= heat:
            return
        positives, negatives = self._task.positives, self._task.negatives
        if positives[a] != positives[b] and not self._compensate(swaps, 0, positives[a] - positives[b]):
            return
        missing = sum([negatives[one] - negatives[other] for one, other in swaps])
        if missing and not self._compensate(swaps, 1, missing):
            return
        if len(swaps) > 1 and self._counts.change(swaps, here, there) >= heat:
            return
        self._counts.take(swaps, here, there)
        for one, other in swaps:
            self._swap(one, other)

    def _pair(self) -> tuple[int, int]:
        """Draw two units: of equal size, of equally many positive slices, of one stratum, or that share a feature.

        Half of the first units are drawn by a feature: otherwise a rare class would hardly ever be drawn.
        """
        below = self._below
        holders: Sequence[int] = self._holders[below(len(self._holders))]
        a = holders[below(len(holders))] if below(2) else below(len(self._part_of))
        kind = below(4)
        if kind == 0:
            peers: Sequence[int] = self._of_size[self._sizes[a]]
        elif kind == 1:
            peers = self._of_positives[self._task.positives[a]]
        elif kind == 2:
            peers = self._task.strata[self._stratum[a]]
        else:
            peers = holders
        return a, peers[below(len(peers))]

    def _compensate(self, swaps: list[tuple[int, int]], kind: int, missing: int) -> bool:
        """Add a swap that gives the first part the slices it lacks after the others; return whether one was drawn.

        Positive slices come from positive units, however many negative slices these have. Negative slices come from
        units with equally many positive slices.
        """
        here, there = self._part_of[swaps[0][0]], self._part_of[swaps[0][1]]
        taken = [unit for swap in swaps for unit in swap]
        stratum = kind if self._cells[kind][here] else 0
        cell = self._cells[stratum][here]
        keys, units = (self._task.positives, self._of_positives) if kind == 0 else (self._sizes, self._of_size)
        for _ in range(COMPENSATIONS):
            c = cell[self._below(len(cell))]
            fitting = units.get(keys[c] + missing)
            if fitting is not None and c not in taken:
                d = fitting[self._below(len(fitting))]
                if self._part_of[d] == there and d not in taken and self._stratum[d] == stratum:
                    swaps.append((c, d))
                    return True
        return False

    def _swap(self, a: int, b: int) -> None:
        part_of, place = self._part_of, self._place
        part_of[a], part_of[b] = part_of[b], part_of[a]
        place[a], place[b] = place[b], place[a]
        for unit in (a, b):
            self._cells[self._stratum[unit]][part_of[unit]][place[unit]] = unit


def _index(keys: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for unit, key in enumerate(keys):
        found.setdefault(key, []).append(unit)
    return found
