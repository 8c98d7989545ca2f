"""Find swaps that change a part by an exact number of slices, with a table of sums instead of random tries.

A random descent ends a few slices off. The last step is one swap, or two or three together, that changes a part by an
exact number. A table holds the sums of one, two or three units of one part; for each choice of units of the other part
the sum that is needed is looked up there.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from math import comb

from planbalance.split.balance import Counts
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState

# The most single units, and choices of several units, that are tried on each side of an exchange.
SINGLES = 2_000
SEVERAL = 3_000
# The most exchanges of positive units, exact in positives, that are tried together with an exchange of negative units.
COMPLETIONS = 60
# Where exchanges are compared by what they do to classes and trait values: the most exchanges of positive units, and of
# negative units for each of them.
COMPARED = 2_000, 2

Units = tuple[int, ...]
Swaps = list[tuple[int, int]]
"""(unit of part here, unit of part there), all of one stratum."""


class Exchange:
    """The swaps of one stratum between two parts, ordered by what the part `here` gains from them.

    Args:
        weights: unit -> its slices, as the gain counts them.
        here: units of one part.
        there: units of the other.
        rng: chooses the units that are tried where there are too many.
        depth: the most swaps together.
    """

    def __init__(
        self, weights: Sequence[int], here: Sequence[int], there: Sequence[int], rng: Rng, *, depth: int
    ) -> None:
        self._weights = weights
        self._here = some_units(here, SINGLES, rng)
        self._there = some_units(there, SINGLES, rng)
        self._draws = rng
        self._depth = depth
        self._tables: dict[int, tuple[list[tuple[int, Units]], dict[int, list[Units]]]] = {}

    def of(self, gain: int) -> Iterator[Swaps]:
        """Yield exchanges with exactly this gain: no swap where it is 0, then single swaps, then several together."""
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
            for units in choices(self._there, count, limit, self._draws):
                there.setdefault(sum([weights[unit] for unit in units]), []).append(units)
            here = [
                (sum([weights[unit] for unit in units]), units)
                for units in choices(self._here, count, limit, self._draws)
            ]
            self._tables[count] = here, there
        return self._tables[count]


def reach_aims(state: SearchState, rng: Rng, counts: Counts | None = None) -> bool:
    """Bring every part to its aim by exact exchanges; return whether all parts are there.

    Exchanges made before a part fails stay made. With `counts`, which are kept up to date, the exchange that is best
    for classes and trait values is made, otherwise the first one.
    """
    sizes = [sum(len(cells[part]) for cells in state.members) for part in range(len(state.positive))]
    order = sorted(range(len(sizes)), key=lambda part: (-sizes[part], part))
    for index in range(len(order) - 1, 0, -1):
        here = order[index]
        # The largest part offers most exchanges, so it is tried first.
        if not any(_settle(state, here, there, rng, counts) for there in order[:index]):
            return False
    return True


def _settle(state: SearchState, here: int, there: int, rng: Rng, counts: Counts | None) -> bool:
    """Bring the part `here` to its aim by exchanges with the part `there`; return whether that worked."""
    if not state.positive[here] and not state.negative[here]:
        return True
    if counts is None:
        swaps = next(_exact(state, here, there, rng, (COMPLETIONS, 1)), None)
    else:
        swaps = min(
            islice(_exact(state, here, there, rng, COMPARED), 2 * COMPARED[0]),
            key=lambda one: counts.change([*one[0], *one[1]], here, there),
            default=None,
        )
    if swaps is None:
        return False
    if counts is not None:
        counts.take([*swaps[0], *swaps[1]], here, there)
    _apply(state, here, there, *swaps)
    return True


def _exact(state: SearchState, here: int, there: int, rng: Rng, most: tuple[int, int]) -> Iterator[tuple[Swaps, Swaps]]:
    """Yield exchanges of positive and of negative units that bring `here` to its aim.

    `most`: exchanges of positive units, and exchanges of negative units for each of them.
    """
    need = (-state.positive[here], -state.negative[here])
    task = state.task
    negative = Exchange(task.negatives, state.members[1][here], state.members[1][there], rng, depth=2)
    exact = Exchange(
        _joint(task.positives, task.negatives), state.members[0][here], state.members[0][there], rng, depth=3
    )
    if len(task.strata[1]) > 1:
        loose = Exchange(task.positives, state.members[0][here], state.members[0][there], rng, depth=2)
        for tries, swaps in enumerate(loose.of(need[0])):
            gain = sum(task.negatives[b] - task.negatives[a] for a, b in swaps)
            for rest in islice(negative.of(need[1] - gain), most[1]):
                yield swaps, rest
            if tries == most[0]:
                break
    for swaps in exact.of((need[0] << 40) + need[1]):
        yield swaps, []


def _apply(state: SearchState, here: int, there: int, positive: Swaps, negative: Swaps) -> None:
    for stratum, swaps in enumerate((positive, negative)):
        for a, b in swaps:
            state.swap(stratum, here, a, there, b)


def _joint(positives: Sequence[int], negatives: Sequence[int]) -> list[int]:
    """Return both counts packed in one number, which can be added: no sum of a few units reaches 2**39 slices."""
    return [(positive << 40) + negative for positive, negative in zip(positives, negatives, strict=True)]


def some_units(units: Sequence[int], limit: int, rng: Rng) -> list[int]:
    """Return the units in random order, at most `limit` of them."""
    if len(units) > limit:
        return list(dict.fromkeys(units[rng.below(len(units))] for _ in range(limit)))
    chosen = list(units)
    rng.shuffle(chosen)
    return chosen


def choices(units: Sequence[int], count: int, limit: int, rng: Rng) -> list[Units]:
    """Return choices of `count` units, all of them or `limit` random ones."""
    if comb(len(units), count) <= limit:
        return list(combinations(units, count))
    size = len(units)
    random = rng.random
    picked = (tuple([units[int(random() * size)] for _ in range(count)]) for _ in range(limit))
    return [choice for choice in picked if len(set(choice)) == count]
