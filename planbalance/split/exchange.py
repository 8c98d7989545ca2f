"""Exchanges of an exact amount, found by looking sums up in a table instead of trying.

A random descent ends a few slices off: the last steps are one swap, or two or three at once, whose gain must be exact.
The sums of one, two or three units of a part are tabled, and the units of the other part say which sum they need.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

from planbalance.split.board import Board
from planbalance.split.draws import Draws

# Units, or choices of several units, that are looked at on each side of an exchange.
SINGLES = 2_000
SEVERAL = 3_000
# Exchanges of positive units, exact in positives, that are completed by negative units before another way is tried.
COMPLETIONS = 60

Units = tuple[int, ...]
Swaps = list[tuple[int, int]]
"""(unit of part here, unit of part there), all of one stratum."""


class Exchange:
    """The swaps of one stratum between two parts, by what the part `here` gains from them.

    Args:
        weights: unit -> what the gain is counted in.
        here: units of one part.
        there: units of the other.
        draws: choose which units are looked at where there are too many.
        depth: how many swaps at once.
    """

    def __init__(
        self, weights: Sequence[int], here: Sequence[int], there: Sequence[int], draws: Draws, *, depth: int
    ) -> None:
        self._weights = weights
        self._here = _some(here, SINGLES, draws)
        self._there = _some(there, SINGLES, draws)
        self._draws = draws
        self._depth = depth
        self._tables: dict[int, tuple[list[tuple[int, Units]], dict[int, list[Units]]]] = {}

    def of(self, gain: int) -> Iterator[Swaps]:
        """Yield exchanges with exactly this gain: none at all where it is 0, then single swaps, then several."""
        if gain == 0:
            yield []
        for count in range(1, self._depth + 1):
            here, there = self._table(count)
            for weight, units in here:
                for others in there.get(weight + gain, ()):
                    yield list(zip(units, others, strict=True))

    def _table(self, count: int) -> tuple[list[tuple[int, Units]], dict[int, list[Units]]]:
        """Return the sums of `count` units of the part here, and those of the part there by sum."""
        if count not in self._tables:
            weights = self._weights
            limit = SINGLES if count == 1 else SEVERAL
            there: dict[int, list[Units]] = {}
            for units in _choices(self._there, count, limit, self._draws):
                there.setdefault(sum([weights[unit] for unit in units]), []).append(units)
            here = [
                (sum([weights[unit] for unit in units]), units)
                for units in _choices(self._here, count, limit, self._draws)
            ]
            self._tables[count] = here, there
        return self._tables[count]


def finish(board: Board, draws: Draws) -> bool:
    """Bring every part to its aim by exact exchanges; return whether that worked. What was done stays done."""
    sizes = [sum(len(cells[part]) for cells in board.members) for part in range(len(board.positive))]
    order = sorted(range(len(sizes)), key=lambda part: (-sizes[part], part))
    for index in range(len(order) - 1, 0, -1):
        here = order[index]
        # The largest part is the richest in exchanges; the others are tried after it while they are not settled.
        if not any(_settle(board, here, there, draws) for there in order[:index]):
            return False
    return True


def _settle(board: Board, here: int, there: int, draws: Draws) -> bool:
    """Bring the part `here` to its aim at the cost of `there`."""
    need = (-board.positive[here], -board.negative[here])
    if need == (0, 0):
        return True
    task = board.task
    negative = Exchange(task.negatives, board.members[1][here], board.members[1][there], draws, depth=2)
    exact = Exchange(
        _joint(task.positives, task.negatives), board.members[0][here], board.members[0][there], draws, depth=3
    )
    if len(task.strata[1]) > 1:
        loose = Exchange(task.positives, board.members[0][here], board.members[0][there], draws, depth=2)
        for tries, swaps in enumerate(loose.of(need[0])):
            gain = sum(task.negatives[b] - task.negatives[a] for a, b in swaps)
            rest = next(negative.of(need[1] - gain), None)
            if rest is not None:
                _apply(board, here, there, swaps, rest)
                return True
            if tries == COMPLETIONS:
                break
    swaps_found = next(exact.of((need[0] << 40) + need[1]), None)
    if swaps_found is not None:
        _apply(board, here, there, swaps_found, [])
    return swaps_found is not None


def _apply(board: Board, here: int, there: int, positive: Swaps, negative: Swaps) -> None:
    for stratum, swaps in enumerate((positive, negative)):
        for a, b in swaps:
            board.swap(stratum, here, a, there, b)


def _joint(positives: Sequence[int], negatives: Sequence[int]) -> list[int]:
    """Return both counts as one number that adds up as they do: no sum of a few units reaches 2**39 slices."""
    return [(positive << 40) + negative for positive, negative in zip(positives, negatives, strict=True)]


def _some(units: Sequence[int], limit: int, draws: Draws) -> list[int]:
    """Return the units in random order, at most `limit` of them."""
    if len(units) > limit:
        return list(dict.fromkeys(units[draws.below(len(units))] for _ in range(limit)))
    chosen = list(units)
    draws.shuffle(chosen)
    return chosen


def _choices(units: Sequence[int], count: int, limit: int, draws: Draws) -> list[Units]:
    """Return choices of `count` units, all of them or `limit` random ones."""
    if comb(len(units), count) <= limit:
        return list(combinations(units, count))
    size = len(units)
    random = draws.random
    picked = (tuple([units[int(random() * size)] for _ in range(count)]) for _ in range(limit))
    return [choice for choice in picked if len(set(choice)) == count]
