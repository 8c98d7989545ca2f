"""The state of a search: which unit is in which part, and how many slices each part is off its aim."""

from collections.abc import Sequence
from math import gcd

from planbalance.split.rng import Rng
from planbalance.split.task import Task, amount_per_part


class SearchState:
    """A placement that is changed by swaps, which keep its quotas.

    Attributes:
        task: the units to place.
        members: stratum -> part -> units; swapping keeps the lengths.
        positive: part -> positive slices above the aim.
        negative: part -> negative slices above the aim.
    """

    def __init__(self, task: Task, members: list[list[list[int]]]) -> None:
        self.task = task
        self.members = members
        part_of = parts_of_members(task, members)
        self._aims: list[list[int]] = []
        above = []
        for amounts, start, aim, grid in zip(
            (task.positives, task.negatives), task.excess, task.aim, grids(task), strict=True
        ):
            excess = amount_per_part(amounts, part_of, start)
            reachable = nearest_on_grid(excess, aim, grid)
            self._aims.append(reachable)
            above.append([have - want for have, want in zip(excess, reachable, strict=True)])
        self.positive, self.negative = above

    def swap(self, stratum: int, here: int, a: int, there: int, b: int) -> None:
        """Swap unit `a` of part `here` and unit `b` of part `there`; both are of the same stratum."""
        cells = self.members[stratum]
        cells[here][cells[here].index(a)] = b
        cells[there][cells[there].index(b)] = a
        gain = self.task.positives[b] - self.task.positives[a]
        self.positive[here] += gain
        self.positive[there] -= gain
        gain = self.task.negatives[b] - self.task.negatives[a]
        self.negative[here] += gain
        self.negative[there] -= gain

    @property
    def cost(self) -> int:
        """Distance to the aims, in slices; at 0 no closer placement is known to exist."""
        return sum(map(abs, self.positive)) + sum(map(abs, self.negative))

    @property
    def distance(self) -> int:
        """Distance to the targets, in slices."""
        return sum(
            abs(have + aim)
            for above, aims in zip((self.positive, self.negative), self._aims, strict=True)
            for have, aim in zip(above, aims, strict=True)
        )

    @property
    def proven(self) -> bool:
        """Whether it is proven that no placement that keeps the quotas is closer: the aims are met, and are targets."""
        return self.cost == 0 and all(
            not any(wanted) or list(wanted) == reachable
            for wanted, reachable in zip(self.task.aim, self._aims, strict=True)
        )


def grids(task: Task) -> tuple[int, int]:
    """Return the greatest common divisors of all changes that swaps can make to positive and to negative slices.

    0 means that no swap changes the number: all volumes of a stratum have the same size.
    """
    steps = [0, 0]
    for stratum in task.strata:
        for unit in stratum[1:]:
            steps[0] = gcd(steps[0], task.positives[unit] - task.positives[stratum[0]])
            steps[1] = gcd(steps[1], task.negatives[unit] - task.negatives[stratum[0]])
            if steps == [1, 1]:
                return 1, 1
    return steps[0], steps[1]


def nearest_on_grid(excess: Sequence[int], aim: Sequence[int], grid: int) -> list[int]:
    """Return the values nearest to `aim` that `excess` can reach in steps of `grid` without changing its sum."""
    if grid == 0:
        return list(excess)
    above = [(have - want) % grid for have, want in zip(excess, aim, strict=True)]
    # Each part ends `above` its aim, or `grid` less than that; the sum says for how many it must be less.
    less = (sum(above) - (sum(excess) - sum(aim))) // grid
    order = sorted(range(len(above)), key=lambda part: (-above[part], part))
    for part in order[:less]:
        above[part] -= grid
    return [want + more for want, more in zip(aim, above, strict=True)]


def shuffled_members(task: Task, rng: Rng) -> list[list[list[int]]]:
    """Return a random placement, as stratum -> part -> units: every stratum is shuffled and cut by its quotas.

    It is the result of `--split-method random`, and the start of a search.
    """
    members = []
    for stratum, quotas in zip(task.strata, task.quotas, strict=True):
        units = list(stratum)
        rng.shuffle(units)
        cuts = []
        begin = 0
        for quota in quotas:
            cuts.append(units[begin : begin + quota])
            begin += quota
        members.append(cuts)
    return members


def parts_of_members(task: Task, members: list[list[list[int]]]) -> list[int]:
    """Return unit -> part."""
    part_of = [0] * len(task.positives)
    for stratum in members:
        for part, units in enumerate(stratum):
            for unit in units:
                part_of[unit] = part
    return part_of
