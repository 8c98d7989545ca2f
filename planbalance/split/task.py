"""One placement to be made: which free units go to which part, and how the outcome is measured."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Features(NamedTuple):
    """What ties are broken by: amounts of each class (boxes) and of each trait value (units).

    Attributes:
        of: unit -> (feature, amount) pairs.
        weights: feature -> weight of a squared deviation.
        classes: how many of the features are classes; they come first, the rest are trait values.
        excess: feature -> part -> amount of the fixed units less the wanted amount.
        rare: feature -> whether there is too little of it to ask for its share to be met.
        zones: feature -> part -> (least, most) excess that is as good as none.
    """

    of: tuple[tuple[tuple[int, int], ...], ...]
    weights: tuple[int, ...]
    classes: int
    excess: tuple[tuple[int, ...], ...]
    rare: tuple[bool, ...]
    zones: tuple[tuple[tuple[int, int], ...], ...]


class Task(NamedTuple):
    """One placement to be made. Units are indices; parts are train, val and test, or K folds.

    Attributes:
        positives: unit -> positive slices.
        negatives: unit -> negative slices.
        strata: the units of the positive stratum and of the negative one, ascending.
        quotas: stratum -> part -> how many of its units go there; they sum to the stratum's size.
        excess: (positive, negative) -> part -> slices of the fixed units less the wanted ones; with all free units it
            sums to 0.
        aim: (positive, negative) -> part -> where to bring the excess: 0, unless fixed units alone are above a target.
        features: what ties are broken by, or None where nothing is.
    """

    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    strata: tuple[tuple[int, ...], tuple[int, ...]]
    quotas: tuple[tuple[int, ...], tuple[int, ...]]
    excess: tuple[tuple[int, ...], tuple[int, ...]]
    aim: tuple[tuple[int, ...], tuple[int, ...]]
    features: Features | None

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.excess[0])


class Placement(NamedTuple):
    """An answer to a task.

    Attributes:
        part_of: unit -> part.
        proven: no placement that keeps the quotas is closer to the targets.
    """

    part_of: list[int]
    proven: bool


def amount_per_part(amounts: Sequence[int], part_of: Iterable[int], start: Sequence[int]) -> list[int]:
    """Return `start` plus the amounts of the units in each part."""
    totals = list(start)
    for amount, part in zip(amounts, part_of, strict=True):
        totals[part] += amount
    return totals


def distance_to_targets(task: Task, part_of: Sequence[int]) -> int:
    """Return how many slices a placement is off, positive and negative ones, summed over the parts."""
    excess = (
        amount_per_part(amounts, part_of, start)
        for amounts, start in zip((task.positives, task.negatives), task.excess, strict=True)
    )
    return sum(sum(map(abs, parts)) for parts in excess)
