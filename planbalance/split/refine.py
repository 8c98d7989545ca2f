"""Improve class shares, then trait shares, without changing the number of slices in any part.

A move is a swap of two units of equal size, or up to three swaps whose changes add up to 0.
"""

from collections.abc import Callable, Sequence

from planbalance.split.rng import Rng
from planbalance.split.shares import POINT, Shares, ZonedShares
from planbalance.split.task import Features, Task

# Moves tried for each unit, and the most in all: of strict improvement, and of annealing where classes are still off.
IMPROVING_MOVES = 40, 20_000
ANNEALING_MOVES = 100, 50_000
# How much worse a move of the annealing may be at first.
HEAT = 10 * POINT
# Moves of the annealing between two checks whether all classes are in their zones.
CHECK_EVERY = 1_000
# How many swaps are drawn to compensate for another one.
COMPENSATIONS = 12

Better = Callable[[int, int], bool]
"""(change of the classes' cost, change of the traits' cost) -> whether the move is made."""


def refine(task: Task, features: Features, part_of: list[int], rng: Rng) -> bool:
    """Improve `part_of` in place; its slices per part and its quotas stay.

    Returns whether the share of every class that is not rare is within its zone.
    """
    shares = Shares(features, part_of)
    moves = _Moves(task, part_of, shares, rng)
    improving_steps = min(IMPROVING_MOVES[0] * len(part_of), IMPROVING_MOVES[1])
    for _ in range(improving_steps):
        moves.try_one(lambda classes, traits: (classes, traits) < (0, 0))
    zoned = ZonedShares(shares)
    moves.count = zoned
    annealed = not zoned.met()
    if annealed:
        _anneal(moves, zoned, rng)
    if annealed or features.classes < len(features.weights):
        for _ in range(improving_steps):
            moves.try_one(lambda classes, traits: (classes, traits) <= (0, 0))
        moves.count = shares
        for _ in range(improving_steps):
            moves.try_one(lambda classes, traits: classes < 0 and traits <= 0)
    return zoned.met()


def _anneal(moves: "_Moves", zoned: ZonedShares, rng: Rng) -> None:
    """Anneal: accept worse class shares, less and less, until every class is in its zone."""
    steps = min(ANNEALING_MOVES[0] * len(zoned.features.of), ANNEALING_MOVES[1])
    for step in range(steps):
        if step % CHECK_EVERY == 0 and zoned.met():
            break
        left = 1 - step / steps
        heat = int(HEAT * left * left * left * rng.random())
        moves.try_one(lambda classes, _, heat=heat: classes <= heat)  # type: ignore[misc]


class _Moves:
    """Draws moves that do not change the number of slices in any part, and makes those that are better."""

    def __init__(self, task: Task, part_of: list[int], shares: Shares, rng: Rng) -> None:
        self._task = task
        self._part_of = part_of
        self._shares = shares
        self.count: Shares = shares
        self._below = rng.below
        self._stratum = [0 if count else 1 for count in task.positives]
        self._cells: list[list[list[int]]] = [[[] for _ in range(task.parts)] for _ in task.strata]
        self._place = [0] * len(part_of)
        for unit, part in enumerate(part_of):
            cell = self._cells[self._stratum[unit]][part]
            self._place[unit] = len(cell)
            cell.append(unit)
        holders: list[list[int]] = [[] for _ in shares.features.weights]
        for unit, pairs in enumerate(shares.features.of):
            for feature, _ in pairs:
                holders[feature].append(unit)
        self._holders = [units for units in holders if units]
        self._of_positives = _index(task.positives)
        self._sizes = [(count << 40) + more for count, more in zip(task.positives, task.negatives, strict=True)]
        self._of_size = _index(self._sizes)

    def try_one(self, better: Better) -> bool:
        """Draw one move and make it if it is better; return whether it was."""
        a, b = self._pair()
        here, there = self._part_of[a], self._part_of[b]
        if here == there or self._stratum[a] != self._stratum[b]:
            return False
        swaps = [(a, b)]
        if not self._is_better(swaps, here, there, better):
            return False
        positives, negatives = self._task.positives, self._task.negatives
        if positives[a] != positives[b] and not self._compensate(swaps, 0, positives[a] - positives[b]):
            return False
        missing = sum([negatives[one] - negatives[other] for one, other in swaps])
        if missing and not self._compensate(swaps, 1, missing):
            return False
        if len(swaps) > 1 and not self._is_better(swaps, here, there, better):
            return False
        self._shares.take(self._shares.gains(swaps), here, there)
        for one, other in swaps:
            self._swap(one, other)
        return True

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

    def _is_better(self, swaps: list[tuple[int, int]], here: int, there: int, better: Better) -> bool:
        return better(*self.count.change(self.count.gains(swaps), here, there))

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
