"""The state of a search: which unit is in which part, and how many slices each part is off its aim."""

from collections.abc import Sequence
from math import gcd

from planbalance.split.rng import Rng
from planbalance.split.task import Distance, Task, amount_per_part


class SearchState:
    """A placement that is changed by swaps, which keep its quotas.

    Attributes:
        task: the units to place.
        members: stratum -> part -> units; swapping keeps the lengths.
        positive: part -> positive slices above the aim.
        negative: part -> negative slices above the aim.
    """

    def __init__(self, task: Task, members: list[list[list[int]]], aims: Sequence[Sequence[int]] | None = None) -> None:
        """`aims` are wanted excesses, (positive, negative) -> part; without them, the nearest that can be reached."""
        self.task = task
        self.members = members
        part_of = parts_of_members(task, members)
        excess = [
            amount_per_part(amounts, part_of, start)
            for amounts, start in zip((task.positives, task.negatives), task.excess, strict=True)
        ]
        self._bound = 0
        if aims is None:
            aims, self._bound = nearest_aims(task, excess)
        self._aims = aims
        self.positive, self.negative = (
            [have - want for have, want in zip(parts, wanted, strict=True)]
            for parts, wanted in zip(excess, aims, strict=True)
        )

    def swap(self, stratum: int, here: int, a: int, there: int, b: int) -> None:
        """Swap unit `a` of part `here` and unit `b` of part `there`; both are of the same stratum."""
        cells = self.members[stratum]
        cells[here][cells[here].index(a)] = b
        cells[there][cells[there].index(b)] = a
        self.count_swap(here, a, there, b)

    def count_swap(self, here: int, a: int, there: int, b: int) -> None:
        """Count the slices of a swap of which the caller keeps the members."""
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
    def excess(self) -> tuple[list[int], list[int]]:
        """Positive and negative slices above the target, for each part."""
        positive, negative = (
            [have + aim for have, aim in zip(above, aims, strict=True)]
            for above, aims in zip((self.positive, self.negative), self._aims, strict=True)
        )
        return positive, negative

    @property
    def distance(self) -> Distance:
        """How far the slices are from their targets."""
        positives, negatives = (sum(map(abs, parts)) for parts in self.excess)
        return Distance(positives + negatives, positives)

    @property
    def proven(self) -> bool:
        """Whether it is proven that no placement that keeps the quotas is closer."""
        if any(any(wanted) for wanted in self.task.aim):  # fixed units are above a target
            return self.cost == 0 and all(
                not any(wanted) or list(wanted) == list(aims)
                for wanted, aims in zip(self.task.aim, self._aims, strict=True)
            )
        return self.distance.slices <= self._bound


def nearest_aims(task: Task, excess: Sequence[Sequence[int]]) -> tuple[list[list[int]], int]:
    """Return the excesses nearest to the aims that swaps may reach, and the least distance from 0 that any have.

    Swaps change positive, negative and all slices in steps. Volumes of equal size are an extreme case: no swap changes
    the number of all slices of a part. Then the positive slices can be right, and the negative ones are off by what all
    slices are off.

    Args:
        task: the units to place.
        excess: (positive, negative) -> part -> excess of any placement that keeps the quotas.
    """
    steps = grids(task)
    apart = [nearest_on_grid(*both) for both in zip(excess, task.aim, steps[:2], strict=True)]
    whole_excess, whole_aim = ([a + b for a, b in zip(*both, strict=True)] for both in (excess, task.aim))
    whole = nearest_on_grid(whole_excess, whole_aim, steps[2])
    together = [apart[0], [both - positive for both, positive in zip(whole, apart[0], strict=True)]]

    def off(aims: Sequence[Sequence[int]]) -> int:
        return sum(
            abs(have - want)
            for parts, wanted in zip(aims, task.aim, strict=True)
            for have, want in zip(parts, wanted, strict=True)
        )

    bound = max(sum(abs(count) for parts in apart for count in parts), sum(map(abs, whole)))
    return (together if off(together) > off(apart) else apart), bound


def grids(task: Task) -> tuple[int, int, int]:
    """Return the greatest common divisors of all changes that swaps make to positive, negative and all slices.

    0 means that no swap changes the number.
    """
    positive = negative = whole = 0
    for stratum in task.strata:
        for unit in stratum[1:]:
            more = task.positives[unit] - task.positives[stratum[0]]
            others = task.negatives[unit] - task.negatives[stratum[0]]
            positive, negative, whole = gcd(positive, more), gcd(negative, others), gcd(whole, more + others)
            if positive == negative == whole == 1:
                return 1, 1, 1
    return positive, negative, whole


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


def members_of_parts(task: Task, part_of: Sequence[int]) -> list[list[list[int]]]:
    """Return stratum -> part -> units, ascending."""
    return [
        [[unit for unit in stratum if part_of[unit] == part] for part in range(task.parts)] for stratum in task.strata
    ]


def parts_of_members(task: Task, members: list[list[list[int]]]) -> list[int]:
    """Return unit -> part."""
    part_of = [0] * len(task.positives)
    for stratum in members:
        for part, units in enumerate(stratum):
            for unit in units:
                part_of[unit] = part
    return part_of
