"""The state of a search: who is where, and how far the parts are from their aims."""

from collections.abc import Sequence
from math import gcd

from planbalance.split.start import parts_of_members
from planbalance.split.task import Task, amount_per_part


class Board:
    """A placement that swaps keep within its quotas.

    Attributes:
        task: what is to be placed.
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
        """Let unit `a` of part `here` and unit `b` of part `there`, both of one stratum, change places."""
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
        """Distance to the aims, in slices; at 0 nothing closer is known to exist."""
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
        """Whether no placement that keeps the quotas is closer: the aims are met, and none were better."""
        return self.cost == 0 and all(
            not any(wanted) or list(wanted) == reachable
            for wanted, reachable in zip(self.task.aim, self._aims, strict=True)
        )


def grids(task: Task) -> tuple[int, int]:
    """Return the steps in which swaps can change positive and negative slices: all changes are multiples of them.

    0 means that no swap changes anything: volumes of equal size.
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
    """Return what `excess` can become in steps of `grid`, with the same sum, nearest to `aim`."""
    if grid == 0:
        return list(excess)
    above = [(have - want) % grid for have, want in zip(excess, aim, strict=True)]
    # Each part ends `above` its aim, or `grid` less than that; the sum says for how many it must be less.
    less = (sum(above) - (sum(excess) - sum(aim))) // grid
    order = sorted(range(len(above)), key=lambda part: (-above[part], part))
    for part in order[:less]:
        above[part] -= grid
    return [want + more for want, more in zip(aim, above, strict=True)]
